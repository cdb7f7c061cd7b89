"""DivergenceWatch: tells a training that is lost from one whose loss is merely noisy.

A loss that is no finite number is lost at once. A loss that explodes stays finite, and is harder to tell: one batch may
cost many times the mean, a training may begin at 11 and fall to 3, and a tiny dataset may be learnt down to 0.01, where
every batch is several times the best. So it is the moving mean that counts, and it has to be far above both the best it
has been and where it began, for many logs on end. What explodes within the first few logs is told only when it is no
number: there is nothing to compare it with.
"""

import math

from emomodel.errors import LossDiverged

# The moving mean covers about so many logs: with fewer, the noise of one-example batches comes through.
_WINDOW_LOGS = 20
# The mean of so many logs is where the training began.
_FIRST_LOGS = 10
# Exploded is above 2.5 times the best mean and 2 nats (a token 7 times less likely) above the beginning, for 20 logs on
# end. In simulations of 3000 logs each no training with losses up to exponentially distributed is taken for lost, while
# a jump from 3 to 8, which is about the loss of random guesses among 3000 tokens, is seen within 80 logs.
_BEST_FACTOR = 2.5
_MARGIN = 2.0
_PATIENCE_LOGS = 20


class DivergenceWatch:
    """Is shown each logged loss in turn, those before an interruption included."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._first = math.inf
        self._best = math.inf
        self._exploded_logs = 0

    def see(self, loss: float, step: int) -> None:
        """Raises LossDiverged."""
        if not math.isfinite(loss):
            raise LossDiverged(f"the loss became {loss} at step {step}")
        self._count += 1
        self._mean += (loss - self._mean) * max(1 / _WINDOW_LOGS, 1 / self._count)
        if self._count < _FIRST_LOGS:
            return
        if self._count == _FIRST_LOGS:
            self._first = self._mean
        self._best = min(self._best, self._mean)
        is_exploded = self._mean > _BEST_FACTOR * self._best and self._mean > self._first + _MARGIN
        self._exploded_logs = self._exploded_logs + 1 if is_exploded else 0
        if self._exploded_logs == _PATIENCE_LOGS:
            raise LossDiverged(
                f"the loss exploded: at step {step} its moving mean is {self._mean:.2f}, and has been {self._best:.2f}"
            )
