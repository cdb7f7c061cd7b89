"""DatasetStatistics: counts what the examples of a dataset hold, one example at a time."""

from array import array
from collections.abc import Iterator, Sequence

from emomodel.data.dataset_report import DatasetWarning, EmotionCoverage, PoleCoverage, WarningCode
from emomodel.data.drafts import Span, TurnDraft
from emomodel.emotions import Axes, EmotionVector

# "4." can be a good answer, but a dataset of such replies teaches no style.
SHORT_REPLY_CHARACTERS = 10
LISTED_LINES = 10

# Fingerprints of lines seen, one per slot: 8 bytes each make 4 MiB however long the file is. If two lines share a slot,
# the later one is kept, so that in files of millions of lines some distant duplicates are missed.
_SLOTS = 1 << 19

# Intensities are summed in billionths.
_UNITS_PER_ONE = 10**9
# More than emotion_reader caches; otherwise the emotions that it returns repeatedly would be summed one by one.
_MAX_TALLIES = 20_000


class DatasetStatistics:
    """Counts the examples given to `add`."""

    def __init__(self, axes: Axes) -> None:
        self.example_count = 0
        self.turn_count = 0
        self.target_count = 0
        self.character_count = 0
        self.longest_character_count = 0
        self._axes = axes
        self._seen = array("q", bytes(8 * _SLOTS))
        self._emotions = _EmotionCounts(axes)
        self._duplicates = _Lines()
        self._short = _Lines()

    def add(self, number: int, line: bytes, turns: list[TurnDraft]) -> None:
        """Count the turns of line `number`; `line` is its content, by which duplicates are found."""
        self.example_count += 1
        self.turn_count += len(turns)
        fingerprint = hash(line)
        slot = fingerprint % _SLOTS
        if self._seen[slot] == fingerprint:
            self._duplicates.add(number)
        self._seen[slot] = fingerprint
        characters = 0
        for _, content, emotion, spans, is_target in turns:
            length = len(content)
            characters += length
            if not is_target:
                continue
            self.target_count += 1
            if length < SHORT_REPLY_CHARACTERS:
                self._short.add(number)
            if spans:
                self._add_segments(content, emotion, spans)
            else:
                self._emotions.add(emotion)
        self.character_count += characters
        if characters > self.longest_character_count:
            self.longest_character_count = characters

    def _add_segments(self, content: str, emotion: EmotionVector, spans: Sequence[Span]) -> None:
        """Count the emotion of each span, and of each stretch of text between them."""
        add = self._emotions.add
        position = 0
        for span in spans:
            if position < span.start and not content[position : span.start].isspace():
                add(emotion)
            add(span.emotion)
            position = span.end
        if position < len(content) and not content[position:].isspace():
            add(emotion)

    def coverage(self) -> EmotionCoverage:
        """How often each pole occurs in the replies to be learned."""
        counts = self._emotions
        counts.flush()
        poles = {
            pole: PoleCoverage(segment_count=count, mean_intensity=_mean(total, count))
            for pole, count, total in zip(self._axes.poles, counts.poles, counts.sums, strict=True)
        }
        return EmotionCoverage(segment_count=counts.total, neutral_count=counts.neutral, poles=poles)

    def warnings(self) -> tuple[DatasetWarning, ...]:
        """Warnings about what makes the dataset worse, but not invalid."""
        found: list[DatasetWarning] = []
        if self._duplicates.count:
            message = f"{self._duplicates.count} lines repeat an earlier line"
            advice = "Remove them, unless they are meant to count more than once."
            found.append(self._duplicates.warning("duplicate_line", message, advice))
        if self._short.count:
            message = f"{self._short.count} replies are shorter than {SHORT_REPLY_CHARACTERS} characters"
            found.append(self._short.warning("short_reply", message, "Full sentences express an emotion better."))
        return (*found, *self._emotion_warnings())

    def _emotion_warnings(self) -> Iterator[DatasetWarning]:
        if not self.target_count:
            return
        counts = self._emotions
        counts.flush()
        if counts.neutral == counts.total:
            advice = "Add emotions by tags or by an emotion key; without any, the emotion projection learns nothing."
            yield DatasetWarning(
                code="no_emotion", message="no reply has an emotion", advice=advice, count=self.target_count
            )
            return
        for name, negative, positive in zip(self._axes, counts.poles[::2], counts.poles[1::2], strict=True):
            poles = name.lower().split("_")
            if not negative and not positive:
                advice = f"Add replies with {poles[0]} and {poles[1]}, or expect this axis to have no effect."
                yield DatasetWarning(code="axis_unused", message=f"axis {name} never occurs", advice=advice, count=1)
            elif not negative or not positive:
                pole, other = poles if not negative else reversed(poles)
                advice = f"Add replies with {pole}; from {other} alone the model can only guess it."
                yield DatasetWarning(code="pole_unused", message=f"pole {pole} never occurs", advice=advice, count=1)


class _Lines:
    """Counts lines and keeps the numbers of the first few."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[int] = []

    def add(self, number: int) -> None:
        self.count += 1
        if len(self._first) < LISTED_LINES:
            self._first.append(number)

    def warning(self, code: WarningCode, message: str, advice: str) -> DatasetWarning:
        return DatasetWarning(code=code, message=message, advice=advice, count=self.count, lines=tuple(self._first))


class _Tally:
    """How often one emotion occurred. It holds the emotion, so that no other object can get the same id."""

    __slots__ = ("count", "emotion")

    def __init__(self, emotion: EmotionVector) -> None:
        self.emotion = emotion
        self.count = 0


class _EmotionCounts:
    """Counts emotions, first by object id: readers return the same object for the same words. `flush` sums them up."""

    def __init__(self, axes: Axes) -> None:
        self.total = 0
        self.neutral = 0
        # By pole, in the order of Axes.poles. The sums are whole numbers, so that the order of adding doesn't matter.
        self.poles = [0] * (2 * len(axes))
        self.sums = [0] * (2 * len(axes))
        self._tallies: dict[int, _Tally] = {}

    def add(self, emotion: EmotionVector) -> None:
        tally = self._tallies.get(id(emotion))
        if tally is None:
            if len(self._tallies) >= _MAX_TALLIES:
                self.flush()
            tally = self._tallies[id(emotion)] = _Tally(emotion)
        tally.count += 1

    def flush(self) -> None:
        for tally in self._tallies.values():
            count = tally.count
            self.total += count
            self.neutral += 0 if any(tally.emotion) else count
            for axis, value in enumerate(tally.emotion):
                if value:
                    pole = 2 * axis + (value > 0)
                    self.poles[pole] += count
                    self.sums[pole] += count * round(abs(value) * _UNITS_PER_ONE)
        self._tallies.clear()


def _mean(total: int, count: int) -> float:
    return round(total / count / _UNITS_PER_ONE, 4) if count else 0.0
