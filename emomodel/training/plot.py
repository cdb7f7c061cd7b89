"""plot_loss: the loss curve as a PNG."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# The weight of the past in the moving mean, which so covers about the last ten points.
_SMOOTHING = 0.9
_SIZE_INCHES = (8.0, 4.5)
_DOTS_PER_INCH = 120


def smooth(values: Sequence[float]) -> list[float]:
    """Return the exponential moving mean of `values`, corrected for the missing past at the start, as Adam does."""
    smoothed: list[float] = []
    mean = 0.0
    for count, value in enumerate(values, start=1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * value
        smoothed.append(mean / (1 - _SMOOTHING**count))
    return smoothed


def plot_loss(steps: Sequence[int], losses: Sequence[float], path: Path, *, title: str) -> None:
    """Draw the loss per step, raw and smoothed, into a PNG file at `path`. Raises OSError."""
    # Not pyplot, which has global figures, may look for a display, and is not safe in every thread.
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(steps, losses, color="#9db7d5", linewidth=1.0, marker="." if len(steps) == 1 else "", label="loss")
    axes.plot(steps, smooth(losses), color="#1f4e8c", linewidth=2.0, label="smoothed")
    axes.set(xlabel="step", ylabel="loss (nats per target token)")
    # The title contains a name that a user gave: a dollar sign in it starts no formula.
    axes.set_title(title, parse_math=False)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path, format="png", metadata={"Software": None})
