"""Steps of the clock: because of them no run is declared dead."""

import pytest

from worker.clock_watch import ClockWatch


class Clocks:
    def __init__(self) -> None:
        self.wall, self.counted = 1_000_000.0, 50.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.counted += seconds

    def make_watch(self) -> ClockWatch:
        return ClockWatch(rest_seconds=10, wall=lambda: self.wall, counted=lambda: self.counted)


def test_time_that_passes_is_no_step() -> None:
    clocks = Clocks()
    watch = clocks.make_watch()
    for seconds in (0.1, 5, 86_400):
        clocks.pass_by(seconds)
        assert watch.is_steady()
    clocks.wall += 0.5
    assert watch.is_steady(), "the clock was adjusted by half a second"


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_after_a_step_nothing_is_concluded_for_a_while(step: float) -> None:
    clocks = Clocks()
    watch = clocks.make_watch()
    clocks.wall += step
    assert not watch.is_steady()
    clocks.pass_by(9)
    assert not watch.is_steady()
    clocks.pass_by(2)
    assert watch.is_steady()
