"""LogWindow: the state of a training between two metrics. A checkpoint holds it, so that the next metric is right.

A metric's loss is the mean since the previous metric. A checkpoint between the two holds the sum so far.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

WINDOW_FILE = "log_window.json"


class LogWindow(BaseModel):
    """The state of a training's log after `step`.

    `loss_sum` is the sum of losses of the steps after `last_logged_step`. `elapsed_seconds` counts from the start of
    training. `evaluation_is_due`: a resumed run first measures the loss on what is held out at this step, and reports
    the metric, with the `grad_norm` and `learning_rates` (of adapter and projection) of the step's update.
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
    """Write `window` into the checkpoint `folder`. Floats in JSON are read back unchanged."""
    (folder / WINDOW_FILE).write_text(window.model_dump_json() + "\n", encoding="utf-8")


def read_window(folder: Path) -> LogWindow:
    """Read the window that `write_window` wrote into `folder`. Raises OSError and pydantic.ValidationError."""
    return LogWindow.model_validate_json((folder / WINDOW_FILE).read_bytes())
