"""Splits a JSON array of examples into its elements without keeping it in memory."""

import io
import json
import re
from collections.abc import Iterator

from emomodel.data.examples import BLANK_BYTES
from emomodel.data.formats.codes import JSON_ARRAY_BROKEN
from emomodel.data.json_line import parse_object
from emomodel.data.problems import Finding

_PIECE_BYTES = 1 << 16
# A complete string, or a character of JSON's structure. A single quote begins a string whose end has not been read yet.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)
_FIX = "Write one array of objects, [{...}, {...}], or one object a line."


def split_array(stream: io.BufferedReader, max_element_bytes: int) -> Iterator[bytes | Finding]:
    """Yield each element on one line. A finding that the array is broken, or an element too long, is the last.

    The stream's first character other than blanks is the array's opening bracket.
    """
    splitter = _Splitter()
    buffer = b""
    while piece := stream.read(_PIECE_BYTES):
        buffer = buffer[splitter.start :] + piece
        for element in splitter.take(buffer):
            yield element if isinstance(element, Finding) else _on_one_line(element)
        if splitter.is_ended:
            yield from _check_end(buffer[splitter.start :], stream)
            return
        if len(buffer) - splitter.start > max_element_bytes:
            message = f"the object is longer than {max_element_bytes} bytes, or never ends"
            yield Finding("line_too_long", message, "Split the dialogue into several examples.")
            return
    yield Finding(JSON_ARRAY_BROKEN, "the array is incomplete: its closing bracket is missing", _FIX)


class _Splitter:
    """Finds the elements in a buffer. Each further buffer begins at the `start` of the one before."""

    def __init__(self) -> None:
        self.is_ended = False
        # Where in the buffer the current element begins.
        self.start = 0
        # How much of that element has been scanned.
        self._seen = 0
        self._depth = 0
        self._count = 0

    def take(self, buffer: bytes) -> Iterator[bytes | Finding]:
        """Yield the elements that end in the buffer."""
        self.start, position = 0, self._seen
        for match in _TOKEN.finditer(buffer, position):
            token, position = match.group(), match.end()
            if token == b'"':
                position = match.start()
                break
            if token in (b"[", b"{"):
                self._depth += 1
                self.start = position if self._depth == 1 else self.start
                continue
            if token in (b"]", b"}"):
                self._depth -= 1
            if self._depth == 0 or (self._depth == 1 and token == b","):
                yield from self._end_element(buffer[self.start : match.start()])
                self.start = position
            if self._depth == 0:
                self.is_ended = True
                return
        else:
            position = len(buffer)
        self._seen = position - self.start

    def _end_element(self, element: bytes) -> Iterator[bytes | Finding]:
        element = element.strip(BLANK_BYTES)
        is_last = self._depth == 0
        if element:
            self._count += 1
            yield element
        elif self._count or not is_last:
            yield Finding(JSON_ARRAY_BROKEN, "there is no object before or after a comma", _FIX)


def _check_end(rest: bytes, stream: io.BufferedReader) -> Iterator[Finding]:
    # The piece may end with the bracket: an empty rest is not yet the end.
    while not rest.strip(BLANK_BYTES):
        rest = stream.read(_PIECE_BYTES)
        if not rest:
            return
    yield Finding(JSON_ARRAY_BROKEN, "there is more text after the array's closing bracket", _FIX)


def _on_one_line(element: bytes) -> bytes | Finding:
    """An element on one line. A line break is blank space between the parts of an object, but an error in a text."""
    if b"\n" not in element and b"\r" not in element:
        return element
    document = parse_object(element)
    if isinstance(document, Finding):
        return document
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
