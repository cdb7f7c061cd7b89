"""LogWindow: where a training is between two metrics, which a checkpoint holds so that the next metric comes out right.

A metric's loss is the mean since the one before. A checkpoint in between holds the part that is known by then.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

WINDOW_FILE = "log_window.json"


class LogWindow(BaseModel):
    """`loss_sum` is over the steps after `last_logged_step`; the seconds are those of training since its beginning.

    `evaluation_is_due`: at this step something is to be measured first, and its metric told. It takes `grad_norm` and
    the learning rates (of adapter and projection) of the step's update.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int = 0
    last_logged_step: int = 0
    loss_sum: float = 0.0
    elapsed_seconds: float = 0.0
    evaluation_is_due: bool = False
    grad_norm: float | None = None
    learning_rates: tuple[float, float] = (0.0, 0.0)


def write_window(folder: Path, window: LogWindow) -> None:
    """JSON holds a float so that it is read back as the same."""
    (folder / WINDOW_FILE).write_text(window.model_dump_json() + "\n", encoding="utf-8")


def read_window(folder: Path) -> LogWindow:
    """What `write_window` has written."""
    return LogWindow.model_validate_json((folder / WINDOW_FILE).read_bytes())
