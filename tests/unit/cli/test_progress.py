"""The line that shows the progress of a job."""

import io

import pytest

from cli.progress import ProgressLine, format_duration, format_metric


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75.4, "1:15"), (3675, "1:01:15"), (-3, "0:00")])
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_metric_shows_step_loss_speed_and_time_left() -> None:
    metric = {"step": 7, "total_steps": 120, "loss": 3.14159, "tokens_per_second": 1234.5, "eta_seconds": 62}
    assert format_metric(metric) == "step   7/120  loss 3.142  1,234 tokens/s  ETA 1:02"


def test_without_a_terminal_a_change_of_phase_is_a_line_and_repetition_is_none() -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    line.show("queued, place 2", phase="queued")
    line.show("queued, place 1", phase="queued")
    line.show("loading model ...", phase="loading_model")
    line.finish("succeeded")
    assert stream.getvalue().splitlines() == ["  queued, place 2", "  loading model ...", "  succeeded"]


def test_on_a_terminal_the_line_is_rewritten() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    line = ProgressLine(stream)
    line.show("one")
    line.show("two")
    line.finish("end")
    assert stream.getvalue() == "\r\x1b[K  one\r\x1b[K  two\r\x1b[K  end\n"
