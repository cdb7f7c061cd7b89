"""balance_by_axes: how often each example is drawn, so that rare emotions are learnt as well as common ones."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from emomodel.samples.dataset import IGNORED_LABEL, Sample

# The largest weight, with a mean of 1: an emotion of three examples must not fill a training of thousands.
_MAX_FACTOR = 8.0

# An axis and the sign of its pole; None is neutral.
Pole = tuple[int, int] | None


def balance_by_axes(samples: Sequence[Sample]) -> Tensor:
    """Return a weight for each sample, (samples,) float64, by which all poles and neutral get equal shares.

    A sample counts for each pole that a target token of it has, or for neutral. The weights have a mean of 1 before
    they are cut off at 8, so that no sample is drawn more than 8 times as often as the average one.
    """
    poles = [_find_poles(sample) for sample in samples]
    counts = Counter(pole for found in poles for pole in found)
    weights = torch.tensor(
        [sum(1 / counts[pole] for pole in found) / len(found) for found in poles], dtype=torch.float64
    )
    weights /= weights.mean()
    return weights.clamp(max=_MAX_FACTOR)


def _find_poles(sample: Sample) -> set[Pole]:
    found: set[Pole] = set()
    for vector, label in zip(sample["emotion_vectors"], sample["labels"], strict=True):
        if label == IGNORED_LABEL:
            continue
        poles: set[Pole] = {(axis, 1 if value > 0 else -1) for axis, value in enumerate(vector) if value}
        found |= poles or {None}
    return found
