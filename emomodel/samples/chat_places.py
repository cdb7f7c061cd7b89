"""The places of the turns' contents in a rendered chat, and the emotion of each character there."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from emomodel.data.examples import Turn
from emomodel.emotions import EmotionVector


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a turn's content in the rendered text. `shift` is `start` minus the characters trimmed before it.

    `limit` is the end of what the template writes after the content.
    """

    turn: Turn
    start: int
    end: int
    limit: int
    shift: int

    def own_emotion(self, position: int) -> EmotionVector | None:
        """The emotion of the character at `position` of the rendered text, or None."""
        character = position - self.shift
        last_begun = bisect_right(self.turn.spans, character, key=lambda span: span.start) - 1
        if last_begun >= 0 and character < self.turn.spans[last_begun].end:
            return self.turn.spans[last_begun].emotion
        is_given = self.turn.role == "assistant" or any(self.turn.emotion)
        return self.turn.emotion if is_given else None


def find_contents(written: str, contents: Sequence[str], pieces: Sequence[str]) -> list[tuple[int, int]] | None:
    """The part of each content that stands between `pieces` in the text `written`: first character, last + 1.

    There is one piece before each content and one after the last. None if the text is anything else.
    """
    found: list[tuple[int, int]] = []
    position = len(pieces[0])
    if not written.startswith(pieces[0]):
        return None
    for content, piece in zip(contents, pieces[1:], strict=True):
        kept = (part for part in _list_parts(content) if written.startswith(content[slice(*part)] + piece, position))
        part = next(kept, None)
        if part is None:
            return None
        found.append(part)
        position += part[1] - part[0] + len(piece)
    return found if position == len(written) else None


def _list_parts(content: str) -> Iterator[tuple[int, int]]:
    """The parts of a content that templates keep: all, or what is left when spaces or line ends are trimmed."""
    yield 0, len(content)
    for characters in (None, "\n"):
        first = len(content) - len(content.lstrip(characters))
        end = max(len(content.rstrip(characters)), first)
        yield from ((first, end), (first, len(content)), (0, end))
