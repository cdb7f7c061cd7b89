import math
import random
from collections.abc import Callable, Iterable

import pytest

from emomodel.errors import LossDiverged
from emomodel.training.divergence import DivergenceWatch

Noise = Callable[[random.Random], float]

STEPS = 2000
CURVES: dict[str, Callable[[int], float]] = {
    "flat": lambda _: 3.0,
    "flat and low": lambda _: 0.8,
    "falling": lambda step: 2.0 + 2.0 * math.exp(-step / 200),
    # This happens with the preset `original`, whose first offset is larger than an embedding.
    "from 11 to 3": lambda step: 3.0 + 8.0 * math.exp(-step / 60),
    "learnt by heart": lambda step: max(0.01, 4.0 * math.exp(-step / 50)),
    "rising again to the start": lambda step: 1.0 + 3.0 * abs(math.cos(step / 400)),
}
NOISES: dict[str, Noise] = {
    "none": lambda _: 1.0,
    "of large batches": lambda generator: math.exp(generator.gauss(0, 0.1)),
    "of small batches": lambda generator: math.exp(generator.gauss(0, 0.5)),
    "spikes": lambda generator: math.exp(generator.gauss(0, 0.2)) * (8.0 if generator.random() < 0.01 else 1.0),
}


def show(losses: Iterable[float]) -> None:
    watch = DivergenceWatch()
    for step, loss in enumerate(losses, start=1):
        watch.see(loss, step)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("curve", CURVES)
def test_a_training_that_learns_is_never_taken_for_lost(curve: str, noise: str) -> None:
    for seed in range(5):
        generator = random.Random(seed)  # noqa: S311 - noise
        show(CURVES[curve](step) * NOISES[noise](generator) for step in range(STEPS))


def test_a_run_of_bad_batches_is_no_explosion() -> None:
    show([3.0] * 100 + [12.0] * 10 + [3.0] * 100)


@pytest.mark.parametrize("start", [15, 50, 500])
@pytest.mark.parametrize(("before", "after"), [(3.0, 12.0), (3.0, 8.0), (1.0, 6.0), (0.05, 4.0), (3.0, 1e6)])
def test_an_explosion_is_recognised_within_a_hundred_logs(start: int, before: float, after: float) -> None:
    generator = random.Random(start)  # noqa: S311 - noise
    losses = [before * math.exp(generator.gauss(0, 0.3)) for _ in range(start)]
    losses += [after * math.exp(generator.gauss(0, 0.1)) for _ in range(100)]
    with pytest.raises(LossDiverged, match="exploded: at step"):
        show(losses)


def test_an_explosion_from_a_high_start_is_recognised_above_the_start() -> None:
    falling = [CURVES["from 11 to 3"](step) for step in range(300)]
    with pytest.raises(LossDiverged):
        show([*falling, *[16.0] * 100])


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_recognised_at_once(loss: float) -> None:
    with pytest.raises(LossDiverged, match=f"the loss became {loss} at step 2"):
        show([3.0, loss])
