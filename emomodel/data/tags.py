"""Reads emotion tags in a text: `<emo joy=0.9>Hurray!</emo>` becomes the text without tags, and spans.

Anything that looks like a tag is a tag or an error, never text by accident. A backslash makes it text: `\\<emo`.
"""

import re
from dataclasses import dataclass

from emomodel.data.drafts import Span
from emomodel.data.emotion_reader import EmotionReader
from emomodel.data.problems import MAX_FINDINGS_PER_LINE, Finding, ProblemCode, quote
from emomodel.emotions import EmotionVector

# A tag, or what was meant as one: `<emo` and `</emo` begin one whatever follows; `< emotion joy>` does if a `>` ends
# it. The bounds on blanks keep the search linear.
_TAG_LIKE = re.compile(
    r"<(?:emo(?P<attributes>(?:[\s,][^<>]*)?)>|(?P<closing>/emo\s{0,3}>)"
    r"|(?i:(?=/?emo|\s{0,3}/?\s{0,3}emo(?:tion)?\b[^<>]*>)))"
)
# So much of a broken tag is shown.
_GLANCE_LENGTH = 40

_SHAPE_FIX = r"Write <emo joy=0.8>text</emo>, or a backslash before the < to mean the characters themselves."


def escape_tags(text: str) -> str:
    """`text` as TagReader has to find it to make just this text of it: a backslash before whatever looks like a tag."""
    return _TAG_LIKE.sub(r"\\\g<0>", text) if "<" in text else text


def looks_tagged(text: str) -> bool:
    """Whether the text contains a tag, or something that was meant as one."""
    return _TAG_LIKE.search(text) is not None


@dataclass(slots=True)
class _Opened:
    column: int
    start: int
    piece: int
    # None when the tag can't be read: then it is already reported, and only waits for its closing tag.
    emotion: EmotionVector | None


class TagReader:
    """Removes the tags from one text.

    `content` and `spans` are complete only if `findings` is empty; the spans are in order within `content` in any case.
    """

    def __init__(self, text: str, emotions: EmotionReader) -> None:
        """Read all of `text`. Columns in the findings count its characters from 1."""
        self.spans: list[Span] = []
        self.findings: list[Finding] = []
        self._text = text
        self._emotions = emotions
        self._pieces: list[str] = []
        self._length = 0
        self._opened: list[_Opened] = []
        self._read()
        self.content = "".join(self._pieces)

    def _read(self) -> None:
        position = 0
        for match in _TAG_LIKE.finditer(self._text):
            if len(self.findings) >= MAX_FINDINGS_PER_LINE:
                return
            start = match.start()
            if self._text[start - 1 : start] == "\\":
                self._keep(position, start - 1)
                position = start
            else:
                self._keep(position, start)
                position = self._read_tag(match)
        self._keep(position, len(self._text))
        for opened in self._opened:
            if opened.emotion is not None:
                self._find(
                    "tag_not_closed", "the tag is never closed", "Put </emo> where its text ends.", opened.column
                )

    def _keep(self, start: int, end: int) -> None:
        self._pieces.append(self._text[start:end])
        self._length += end - start

    def _find(self, code: ProblemCode, message: str, fix: str, column: int) -> None:
        self.findings.append(Finding(code, message, fix, column=column))

    def _read_tag(self, match: re.Match[str]) -> int:
        """Read the tag; return where the text after it begins."""
        attributes, closing = match.groups()
        if attributes is not None:
            self._open(attributes, match.start() + 1)
        elif closing is not None:
            self._close(match.start() + 1)
        else:
            return self._refuse(match.start())
        return match.end()

    def _refuse(self, start: int) -> int:
        text = self._text[start + 1 : start + _GLANCE_LENGTH].partition("<")[0]
        inside, end, _ = text.partition(">")
        self._find("tag_malformed", f"{quote(f'<{inside}{end}')} looks like a tag but is none", _SHAPE_FIX, start + 1)
        if not inside.lstrip().startswith("/"):
            self._push(start + 1, None)
        elif self._opened:
            self._opened.pop()
        return start + 1 + len(inside) + len(end)

    def _push(self, column: int, emotion: EmotionVector | None) -> None:
        self._opened.append(_Opened(column, self._length, len(self._pieces), emotion))

    def _open(self, attributes: str, column: int) -> None:
        emotion = self._emotions.from_attributes(attributes)
        if isinstance(emotion, Finding):
            self.findings.append(emotion._replace(column=column))
            self._push(column, None)
            return
        if self._is_in_a_tag():
            self._find(
                "tag_nested", "a tag opens inside another", "Close the outer tag first: tags don't nest.", column
            )
        self._push(column, emotion)

    def _close(self, column: int) -> None:
        if not self._opened:
            self._find("tag_not_opened", "</emo> closes no tag", "Open one before it, as in <emo joy=0.8>.", column)
            return
        opened = self._opened.pop()
        if opened.emotion is None:
            return
        if not any(piece.strip() for piece in self._pieces[opened.piece :]):
            self._find(
                "tag_empty", "the tag holds no text", "Put its text between <emo ...> and </emo>.", opened.column
            )
            return
        # A nested tag is already reported; as a span it would overlap that of the tag around it.
        if not self._is_in_a_tag():
            self.spans.append(Span(opened.start, self._length, opened.emotion))

    def _is_in_a_tag(self) -> bool:
        """Whether a tag that can be read is open here."""
        return any(opened.emotion is not None for opened in self._opened)
