"""EmotionCounts: how the emotions are distributed over the tokens that are learned."""

import math
from collections.abc import Iterator

from emomodel.emotions import Axes, EmotionVector
from emomodel.insights.token_report import EmotionTokens, Insight, PoleTokens

INTENSITY_BINS = 10
# From this ratio on, the tokens of one pole outweigh those of the other.
UNBALANCED_RATIO = 4.0
# Fewer segments may have the same intensity by chance.
_MIN_CONSTANT_SEGMENTS = 10


class EmotionCounts:
    """Counts segments, which are stretches of one reply under one emotion, and their tokens."""

    def __init__(self, axes: Axes) -> None:
        count = 2 * len(axes)
        self._axes = axes
        self._segments = 0
        self._tokens = 0
        self._neutral_segments = 0
        self._neutral_tokens = 0
        self._pole_tokens = [0] * count
        self._sums = [0.0] * count
        self._lowest = [math.inf] * count
        self._highest = [0.0] * count
        self._histograms = [[0] * INTENSITY_BINS for _ in range(count)]
        # How many segments have both poles; the diagonal holds the segments of each pole.
        self._together = [[0] * count for _ in range(count)]

    def add(self, emotion: EmotionVector, token_count: int) -> None:
        """Count a segment of `token_count` tokens under `emotion`."""
        self._segments += 1
        self._tokens += token_count
        poles = [2 * axis + (value > 0) for axis, value in enumerate(emotion) if value]
        if not poles:
            self._neutral_segments += 1
            self._neutral_tokens += token_count
        for pole in poles:
            intensity = abs(emotion[pole // 2])
            self._pole_tokens[pole] += token_count
            self._sums[pole] += intensity
            self._lowest[pole] = min(self._lowest[pole], intensity)
            self._highest[pole] = max(self._highest[pole], intensity)
            # In floating point, 0.3 is slightly more than three tenths and would fall into the next bin.
            self._histograms[pole][max(math.ceil(round(intensity * INTENSITY_BINS, 6)), 1) - 1] += 1
            row = self._together[pole]
            for other in poles:
                row[other] += 1

    def describe(self) -> EmotionTokens:
        poles = {}
        for pole, name in enumerate(self._axes.poles):
            count = self._together[pole][pole]
            poles[name] = PoleTokens(
                segment_count=count,
                token_count=self._pole_tokens[pole],
                token_share=round(self._pole_tokens[pole] / self._tokens, 4) if self._tokens else 0.0,
                mean_intensity=round(self._sums[pole] / count, 4) if count else 0.0,
                histogram=tuple(self._histograms[pole]),
            )
        return EmotionTokens(
            segment_count=self._segments,
            neutral_segment_count=self._neutral_segments,
            neutral_token_count=self._neutral_tokens,
            poles=poles,
            co_occurrence=tuple(tuple(row) for row in self._together),
        )

    def warn(self) -> Iterator[Insight]:
        """Warnings about what keeps the model from learning the emotions, with advice."""
        if not self._segments:
            return
        if self._neutral_segments == self._segments:
            advice = "Add emotions by tags or by an emotion key; without any, the emotion projection learns nothing."
            yield Insight(code="no_emotion", message="no reply has an emotion", advice=advice, count=self._segments)
            return
        for index, name in enumerate(self._axes):
            yield from self._warn_of_axis(index, name)
        for pole, name in enumerate(self._axes.poles):
            count = self._together[pole][pole]
            if count >= _MIN_CONSTANT_SEGMENTS and self._lowest[pole] == self._highest[pole]:
                message = f"{name} always has the intensity {self._highest[pole]:g}"
                advice = f"Give some replies other intensities of {name}; otherwise the model can't learn to vary it."
                yield Insight(code="intensity_constant", message=message, advice=advice, count=count)

    def _warn_of_axis(self, index: int, axis: str) -> Iterator[Insight]:
        names = axis.lower().split("_")
        tokens = self._pole_tokens[2 * index : 2 * index + 2]
        if not any(tokens):
            message = f"neither {names[0]} nor {names[1]} ever occurs: the model can't learn {axis}"
            advice = "Add replies with both; otherwise this axis will have no effect."
            yield Insight(code="axis_unused", message=message, advice=advice, count=1)
            return
        (rare, rare_name), (common, common_name) = sorted(zip(tokens, names, strict=True))
        if not rare:
            message = f"{rare_name} never occurs: the model can't learn it"
            advice = f"Add replies with {rare_name}; from {common_name} alone the model can only guess it."
            yield Insight(code="pole_unused", message=message, advice=advice, count=1)
        elif common / rare >= UNBALANCED_RATIO:
            message = f"{common_name} is {common / rare:.0f} times as common as {rare_name}, by tokens"
            advice = f"Consider more replies with {rare_name}, or fewer with {common_name}."
            yield Insight(code="poles_unbalanced", message=message, advice=advice, count=rare)
