"""Shows the progress of a running job: one live line on a terminal, or a line every few seconds elsewhere."""

import sys
import time
from typing import Any, TextIO

# How often a line is printed without a terminal (a log, CI).
QUIET_SECONDS = 5.0


def format_duration(seconds: float) -> str:
    """Format seconds: 75 -> `1:15`, 3675 -> `1:01:15`."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def format_metric(values: dict[str, Any]) -> str:
    """Format step, loss, tokens/s and ETA of one metric."""
    step, total = values["step"], values["total_steps"]
    return (
        f"step {step:>{len(str(total))}}/{total}  loss {values['loss']:.3f}  "
        f"{values['tokens_per_second']:,.0f} tokens/s  ETA {format_duration(values['eta_seconds'])}"
    )


class ProgressLine:
    """Rewrites its line on a terminal; elsewhere prints changes of phase, the last line, and one every few seconds."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._is_live = stream.isatty()
        self._shown = ""
        self._shown_at = 0.0
        self._phase = ""

    def show(self, text: str, *, phase: str = "") -> None:
        """Show the line; a change of `phase` is shown even where there is no terminal."""
        due = phase != self._phase or time.monotonic() - self._shown_at >= QUIET_SECONDS
        if self._is_live:
            self._stream.write(f"\r\x1b[K  {text}")
            self._stream.flush()
        elif due and text != self._shown:
            self._print(text)
        self._phase = phase

    def finish(self, text: str) -> None:
        """Print the line that remains."""
        if self._is_live:
            self._stream.write("\r\x1b[K")
        self._print(text)

    def _print(self, text: str) -> None:
        self._stream.write(f"  {text}\n")
        self._stream.flush()
        self._shown, self._shown_at = text, time.monotonic()
