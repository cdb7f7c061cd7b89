"""RunRequests: what a training process has been asked for so far, by its supervisor or a signal."""

from emomodel.errors import Stopped
from emomodel.protocol.progress import CHECKPOINT_REQUEST, SAVE_AND_STOP_REQUEST, STOP_REQUEST


class RunRequests:
    """Written by a signal handler and a reading thread, polled by the training.

    Plain attributes, each set in one go: a signal handler may interrupt whoever would hold a lock.
    """

    def __init__(self) -> None:
        self._stop = False
        self._save_and_stop = False
        self._checkpoint = False

    def take(self, request: str) -> None:
        """Note a request; what is none is left alone: a newer supervisor may know more of them."""
        if request == STOP_REQUEST:
            self._stop = True
        elif request == SAVE_AND_STOP_REQUEST:
            self._save_and_stop = True
        elif request == CHECKPOINT_REQUEST:
            self._checkpoint = True

    @property
    def is_stopping(self) -> bool:
        """Whether the training ends after the present step."""
        return self._stop or self._save_and_stop

    @property
    def is_dropped(self) -> bool:
        """Whether it ends with nothing saved: a stop wins over a save_and_stop, whichever came first."""
        return self._stop

    def take_checkpoint_request(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""
        asked, self._checkpoint = self._checkpoint, False
        return asked

    def raise_if_stopping(self) -> None:
        """Between two phases. Raises Stopped."""
        if self.is_stopping:
            raise Stopped("stopped on request")
