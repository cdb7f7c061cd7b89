"""TokenStatistics: counts what a training with a base model finds in the examples of a dataset.

Tokens, targets and cuts come from emomodel.samples.dataset, which also makes the training's samples. Memory doesn't
grow with the number of examples.
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from emomodel.config import TrainConfig
from emomodel.data.examples import Example, read_examples
from emomodel.emotions import Axes
from emomodel.errors import DatasetRefused
from emomodel.insights.emotion_tokens import EmotionCounts
from emomodel.insights.length_statistics import Lengths, measure_batching
from emomodel.insights.likeness import LikenessFinder
from emomodel.insights.scripts_of_text import ScriptCounts
from emomodel.insights.token_report import Insight, InsightCode, Likeness, LineList, TokenReport
from emomodel.samples.chat import ChatFormat, TokenisedChat
from emomodel.samples.dataset import tokenise_example

LISTED_LINES = 10


class TokenStatistics:
    """Counts the examples given to `add`."""

    def __init__(self, chat_format: ChatFormat, axes: Axes, max_length: int) -> None:
        self._chat_format = chat_format
        self._axes = axes
        self._max_length = max_length
        self._example_count = 0
        self._turn_count = 0
        self._character_count = 0
        self._lengths = Lengths()
        self._kept_lengths = Lengths()
        self._targets = Lengths()
        self._truncated, self._dropped, self._refused = _Lines(), _Lines(), _Lines()
        self._refusal = ""
        self._likeness = LikenessFinder()
        self._scripts = ScriptCounts()
        self._emotions = EmotionCounts(axes)

    def add(self, example: Example) -> None:
        self._example_count += 1
        self._turn_count += len(example.turns)
        for turn in example.turns:
            self._character_count += len(turn.content)
            self._scripts.add(turn.content)
        self._likeness.add(example)
        try:
            chat = tokenise_example(example, self._chat_format)
        except DatasetRefused as error:
            self._refusal = self._refusal or str(error)
            self._refused.add(example.line)
            return
        self._add_tokens(chat, example.line)

    def report(self) -> TokenReport:
        return TokenReport(
            max_length=self._max_length,
            example_count=self._example_count,
            turn_count=self._turn_count,
            character_count=self._character_count,
            token_count_by_example=self._lengths.describe(),
            target_count_by_example=self._targets.describe(),
            truncated=self._truncated.as_list(),
            dropped=self._dropped.as_list(),
            refused=self._refused.as_list(),
            real_token_share=measure_batching(
                self._kept_lengths.draw(), batch_size=TrainConfig().batch_size, max_length=self._max_length
            ),
            duplicates=self._likeness.duplicates,
            near_duplicates=self._likeness.near_duplicates,
            scripts=self._scripts.shares(),
            emotions=self._emotions.describe(),
            warnings=(*self._warn(), *self._emotions.warn()),
        )

    def _add_tokens(self, chat: TokenisedChat, line: int) -> None:
        length = len(chat.input_ids)
        kept = min(length, self._max_length)
        self._lengths.add(length)
        if length > kept:
            self._truncated.add(line)
        # The first token never counts, as no position before it predicts it.
        target_count = sum(chat.is_target[1:kept])
        self._targets.add(target_count)
        if not target_count:
            self._dropped.add(line)
            return
        self._kept_lengths.add(kept)
        learnt = zip(chat.is_target[:kept], chat.own[:kept], strict=True)
        for (is_target, emotion), tokens in groupby(learnt):
            if is_target and emotion is not None:
                self._emotions.add(emotion, sum(1 for _ in tokens))

    def _warn(self) -> Iterator[Insight]:
        bound = f"max_length={self._max_length} tokens"
        if self._refused.count:
            message = f"a job with this base model would fail: {self._refusal}"
            yield self._refused.warn("example_refused", message, "Correct or remove these examples.")
        if self._dropped.count:
            message = f"{self._dropped.count} examples have no reply within {bound} and would be left out"
            yield self._dropped.warn("example_dropped", message, "Raise max_length, or shorten what comes before.")
        if self._truncated.count:
            message = f"{self._truncated.count} examples are longer than {bound} and would be cut"
            longest = self._lengths.describe().max
            advice = f"Raise max_length, up to {longest} for the longest, or shorten them."
            yield self._truncated.warn("example_truncated", message, advice)
        yield from _warn_of_likeness(self._likeness)


def compute_statistics(path: Path, axes: Axes, chat_format: ChatFormat, max_length: int) -> TokenReport:
    """The report on a dataset's file. Raises OSError, and LinesInvalid for a file that was never validated."""
    statistics = TokenStatistics(chat_format, axes, max_length)
    for example in read_examples(path, axes):
        statistics.add(example)
    return statistics.report()


def _warn_of_likeness(found: LikenessFinder) -> Iterator[Insight]:
    def warn(code: InsightCode, likeness: Likeness, what: str, advice: str) -> Iterator[Insight]:
        if likeness.count:
            lines = tuple(pair.line for pair in likeness.pairs)
            message = f"{likeness.count} examples {what}"
            yield Insight(code=code, message=message, advice=advice, count=likeness.count, lines=lines)

    advice = "Remove them, unless they are meant to count more than once."
    yield from warn("duplicate_example", found.duplicates, "repeat an earlier one", advice)
    advice = (
        "Check a few pairs: texts that differ little teach little, and different emotions on one text may conflict."
    )
    yield from warn("near_duplicate", found.near_duplicates, "are nearly the same as an earlier one", advice)


class _Lines:
    """Counts examples and keeps the lines of the first few."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[int] = []

    def add(self, line: int) -> None:
        self.count += 1
        if len(self._first) < LISTED_LINES:
            self._first.append(line)

    def as_list(self) -> LineList:
        return LineList(count=self.count, lines=tuple(self._first))

    def warn(self, code: InsightCode, message: str, advice: str) -> Insight:
        return Insight(code=code, message=message, advice=advice, count=self.count, lines=tuple(self._first))
