"""RunRequests: the requests that a training process has received, from its supervisor or by a signal."""

from emomodel.errors import Stopped
from emomodel.protocol.progress import CHECKPOINT_REQUEST, SAVE_AND_STOP_REQUEST, STOP_REQUEST


class RunRequests:
    """Requests to a running training. A signal handler and a reading thread write them; the training polls them.

    They are plain attributes, each set in one operation: a signal handler may interrupt the thread that holds a lock.
    """

    def __init__(self) -> None:
        self._stop = False
        self._save_and_stop = False
        self._checkpoint = False

    def take(self, request: str) -> None:
        """Take a request. An unknown one is ignored, as a newer supervisor may know more of them."""
        if request == STOP_REQUEST:
            self._stop = True
        elif request == SAVE_AND_STOP_REQUEST:
            self._save_and_stop = True
        elif request == CHECKPOINT_REQUEST:
            self._checkpoint = True

    @property
    def is_stopping(self) -> bool:
        """Whether the training ends after the current step."""
        return self._stop or self._save_and_stop

    @property
    def is_dropped(self) -> bool:
        """Whether the training ends without saving: `stop` overrides `save_and_stop`, whichever came first."""
        return self._stop

    def take_checkpoint_request(self) -> bool:
        """Whether a checkpoint was requested since the last call."""
        asked, self._checkpoint = self._checkpoint, False
        return asked

    def raise_if_stopping(self) -> None:
        """Raise Stopped if the training is to end; called between two phases."""
        if self.is_stopping:
            raise Stopped("stopped on request")
