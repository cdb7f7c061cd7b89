"""DatasetStatistics: counts what the examples of a dataset hold, one after another. [light]"""

from array import array
from collections.abc import Iterator, Sequence

from emomodel.dataset_report import DatasetWarning, EmotionCoverage, PoleCoverage, WarningCode
from emomodel.emotions import Axes, EmotionVector
from emomodel.line_reader import TurnDraft
from emomodel.tags import Span

# "4." is a fair answer, but a dataset of such replies teaches no style.
SHORT_REPLY_CHARACTERS = 10
LISTED_LINES = 10

# Fingerprints of lines seen, one per slot: 8 bytes each make 4 MiB however long the file is. Where two lines share a
# slot the later one stays, so that in files of millions of lines some far duplicates go unnoticed.
_SLOTS = 1 << 19


class DatasetStatistics:
    """Counts of the examples given to `add`."""

    def __init__(self, axes: Axes) -> None:
        self.example_count = 0
        self.turn_count = 0
        self.target_count = 0
        self.character_count = 0
        self.longest_character_count = 0
        self._axes = axes
        self._neutral = axes.neutral
        self._seen = array("q", bytes(8 * _SLOTS))
        self._neutral_count = 0
        self._segment_count = 0
        self._counts = [[0, 0] for _ in axes]
        self._sums = [[0.0, 0.0] for _ in axes]
        self._duplicates = _Lines()
        self._short = _Lines()

    def add(self, number: int, line: bytes, turns: list[TurnDraft]) -> None:
        """Count the turns of line `number`; `line` is its text, to tell duplicates by."""
        self.example_count += 1
        self.turn_count += len(turns)
        fingerprint = hash(line)
        slot = fingerprint % _SLOTS
        if self._seen[slot] == fingerprint:
            self._duplicates.add(number)
        self._seen[slot] = fingerprint
        characters = sum(len(content) for _, content, *_ in turns)
        self.character_count += characters
        self.longest_character_count = max(self.longest_character_count, characters)
        for _, content, emotion, spans, is_target in turns:
            if not is_target:
                continue
            self.target_count += 1
            if len(content) < SHORT_REPLY_CHARACTERS:
                self._short.add(number)
            if spans:
                for segment in _segments(content, emotion, spans):
                    self._add_segment(segment)
            else:
                self._add_segment(emotion)

    def _add_segment(self, emotion: EmotionVector) -> None:
        self._segment_count += 1
        if emotion == self._neutral:
            self._neutral_count += 1
            return
        for axis, value in enumerate(emotion):
            if value:
                pole = 1 if value > 0 else 0
                self._counts[axis][pole] += 1
                self._sums[axis][pole] += abs(value)

    def coverage(self) -> EmotionCoverage:
        """How often each pole occurs in the replies to be learned."""
        counts = [count for pair in self._counts for count in pair]
        sums = [total for pair in self._sums for total in pair]
        poles = {
            pole: PoleCoverage(segment_count=count, mean_intensity=round(total / count, 4) if count else 0.0)
            for pole, count, total in zip(self._axes.poles, counts, sums, strict=True)
        }
        return EmotionCoverage(segment_count=self._segment_count, neutral_count=self._neutral_count, poles=poles)

    def warnings(self) -> tuple[DatasetWarning, ...]:
        """What makes the dataset worse, not wrong."""
        found: list[DatasetWarning] = []
        if self._duplicates.count:
            message = f"{self._duplicates.count} lines repeat an earlier line"
            advice = "Take them out, unless they are meant to weigh more."
            found.append(self._duplicates.warning("duplicate_line", message, advice))
        if self._short.count:
            message = f"{self._short.count} replies are shorter than {SHORT_REPLY_CHARACTERS} characters"
            found.append(self._short.warning("short_reply", message, "Whole sentences carry an emotion better."))
        return (*found, *self._emotion_warnings())

    def _emotion_warnings(self) -> Iterator[DatasetWarning]:
        if not self.target_count:
            return
        if self._neutral_count == self._segment_count:
            advice = "Add emotions by tags or by an emotion key; without any, the emotion projection learns nothing."
            yield DatasetWarning(
                code="no_emotion", message="no reply has an emotion", advice=advice, count=self.target_count
            )
            return
        for name, (negative, positive) in zip(self._axes, self._counts, strict=True):
            poles = name.lower().split("_")
            if not negative and not positive:
                advice = f"Add replies with {poles[0]} and {poles[1]}, or expect this axis to have no effect."
                yield DatasetWarning(code="axis_unused", message=f"axis {name} never occurs", advice=advice, count=1)
            elif not negative or not positive:
                pole, other = poles if not negative else reversed(poles)
                advice = f"Add replies with {pole}; from {other} alone the model can only guess it."
                yield DatasetWarning(code="pole_unused", message=f"pole {pole} never occurs", advice=advice, count=1)


class _Lines:
    """Counts lines and remembers the first few."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[int] = []

    def add(self, number: int) -> None:
        self.count += 1
        if len(self._first) < LISTED_LINES:
            self._first.append(number)

    def warning(self, code: WarningCode, message: str, advice: str) -> DatasetWarning:
        return DatasetWarning(code=code, message=message, advice=advice, count=self.count, lines=tuple(self._first))


def _segments(content: str, emotion: EmotionVector, spans: Sequence[Span]) -> Iterator[EmotionVector]:
    """The emotion of each span, and of each stretch of text between them."""
    position = 0
    for span in spans:
        if content[position : span.start].strip():
            yield emotion
        yield span.emotion
        position = span.end
    if content[position:].strip():
        yield emotion
