"""Reads the JSON object on one line, strictly.

Python's own reader keeps the last of two equal keys, and accepts NaN, Infinity and half a surrogate pair. A dataset
with any of these doesn't mean what it says, so they are refused here.
"""

import json
import re
from collections import Counter

from emomodel.data.problems import Finding, quote

BLANK = " \t\r\n"
ONE_OBJECT = 'Write one JSON object per line, such as {"messages": [{"role": "user", "content": "..."}, ...]}.'

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class _RefusedError(Exception):
    """Carries a finding out of the JSON decoder, whose hooks can't return one."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        message = f"the key {quote(twice)} occurs twice in one object"
        raise _RefusedError(Finding("json_key_twice", message, "Keep one of them."))
    return document


def _refuse_constant(name: str) -> object:
    message = f"{name} is not a JSON number"
    raise _RefusedError(Finding("json_not_finite", message, "Write a finite number, or leave it out."))


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)


def parse_object(line: bytes) -> dict[str, object] | Finding:
    """Parse the object on the line, or find what is wrong with it."""
    try:
        text = line.decode().rstrip(BLANK)
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the line is not UTF-8"
        return Finding("not_utf8", message, "Save the file as UTF-8.", column=len(line[: error.start].decode()) + 1)
    start = 0 if text.startswith("{") else len(text) - len(text.lstrip(BLANK))
    try:
        document, end = _DECODER.raw_decode(text, start)
        if "\\u" in text and _SURROGATE_ESCAPE.search(text):
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError, _RefusedError) as error:
        return _explain(error, text)
    if end != len(text):
        return Finding("json_invalid", "there is more text after the object", ONE_OBJECT, column=end + 1)
    if not isinstance(document, dict):
        return Finding("example_not_object", "the line is JSON, but not an object", ONE_OBJECT)
    return document


def _explain(error: Exception, text: str) -> Finding:
    match error:
        case _RefusedError():
            return error.finding
        case json.JSONDecodeError() if error.pos >= len(text):
            return Finding(
                "json_invalid", "the JSON ends too early, at the end of the line", ONE_OBJECT, column=len(text)
            )
        case json.JSONDecodeError():
            return Finding("json_invalid", f"not JSON: {error.msg}", ONE_OBJECT, column=error.pos + 1)
        case UnicodeEncodeError():
            message = r"an escape such as \ud83d is only half of a character"
            return Finding("json_surrogate", message, "Write both halves, or the character itself.")
        case RecursionError():
            return Finding("json_invalid", "the JSON is nested too deeply", ONE_OBJECT)
        case _:  # Python reads integers of up to 4,300 digits
            return Finding("json_invalid", "a number has too many digits", "Shorten the number.")
