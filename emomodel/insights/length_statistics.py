"""The lengths of a dataset's examples, and how much of their batches would be padding."""

import math
import random
from collections import Counter

from emomodel.insights.token_report import BatchingShares, Bin, Distribution

# Padding is estimated from a random sample: with this many examples, to about a thousandth.
_SAMPLED_EXAMPLES = 20_000
_SAMPLE_SEED = 0
# The first bin of a histogram is 0 to 15.
_FIRST_BIN_BITS = 4
# As in emomodel.batches.order and emomodel.batches.packing, which load torch;
# tests/model/insights/test_token_statistics.py holds them equal.
SORTED_BATCHES = 50
MIN_GROUPS = 4
TOKEN_STEP = 64


class Lengths:
    """Counts whole numbers. Memory grows with the number of different values."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, length: int) -> None:
        self._counts[length] += 1

    @property
    def total(self) -> int:
        return sum(length * count for length, count in self._counts.items())

    def describe(self) -> Distribution:
        count = self._counts.total()
        return Distribution(
            total=self.total,
            mean=round(self.total / count, 2) if count else 0.0,
            p50=self._find_percentile(50),
            p95=self._find_percentile(95),
            max=max(self._counts, default=0),
            histogram=self._make_histogram(),
        )

    def draw(self) -> list[int]:
        """All numbers, or a sample if there are very many, in random order; the same at each call."""
        generator = random.Random(_SAMPLE_SEED)  # noqa: S311  no secret
        if self._counts.total() <= _SAMPLED_EXAMPLES:
            drawn = sorted(self._counts.elements())
            generator.shuffle(drawn)
            return drawn
        lengths = sorted(self._counts)
        return generator.choices(lengths, [self._counts[length] for length in lengths], k=_SAMPLED_EXAMPLES)

    def _find_percentile(self, percent: int) -> int:
        rank = math.ceil(self._counts.total() * percent / 100)
        for length in sorted(self._counts):
            rank -= self._counts[length]
            if rank <= 0:
                return length
        return 0

    def _make_histogram(self) -> tuple[Bin, ...]:
        """Bins of 0 to 15, 16 to 31, 32 to 63 and so on, without empty bins at either end."""
        counts: Counter[int] = Counter()
        for length, count in self._counts.items():
            counts[max(length.bit_length(), _FIRST_BIN_BITS)] += count
        return tuple(
            Bin(low=0 if bits == _FIRST_BIN_BITS else 1 << (bits - 1), high=(1 << bits) - 1, count=counts[bits])
            for bits in range(min(counts, default=1), max(counts, default=0) + 1)
        )


def measure_batching(lengths: list[int], *, batch_size: int, max_length: int) -> BatchingShares:
    """The shares for an epoch over examples of these lengths, in random order and at most `max_length` long."""
    real = sum(lengths)
    if not real:
        return BatchingShares(batch_size=batch_size, fixed=0.0, dynamic=0.0, packed=0.0)
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    row = math.ceil(max(map(sum, batches)) / TOKEN_STEP) * TOKEN_STEP
    return BatchingShares(
        batch_size=batch_size,
        fixed=round(real / (len(lengths) * max_length), 4),
        dynamic=round(real / _count_dynamic(lengths, batch_size), 4),
        packed=round(real / (len(batches) * row), 4),
    )


def _count_dynamic(lengths: list[int], batch_size: int) -> int:
    """The positions of an epoch with dynamic batches of similar lengths (emomodel.batches.order)."""
    sorted_batches = min(max(len(lengths) // (batch_size * MIN_GROUPS), 1), SORTED_BATCHES)
    group_size = batch_size * sorted_batches
    ordered: list[int] = []
    for start in range(0, len(lengths), group_size):
        ordered += sorted(lengths[start : start + group_size], reverse=True)
    batches = (ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size))
    return sum(max(batch) * len(batch) for batch in batches)
