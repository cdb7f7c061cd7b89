"""Makes one JSON Lines record of a row of a table, or of an object with other keys."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Protocol

from emomodel.data.formats.codes import COLUMN_TWICE, COLUMNS_MISSING
from emomodel.data.json_line import parse_object
from emomodel.data.problems import Finding, quote
from emomodel.emotions import Axes

# A row omits cells without a value.
Row = Mapping[str, object]

MESSAGES, EMOTION = "messages", "emotion"
SYSTEM, PROMPT, RESPONSE = "system", "prompt", "response"
CHAT_COLUMNS = (MESSAGES, PROMPT, RESPONSE)

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COLUMNS_FIX = "Name the columns prompt and response, or put whole chats into a column messages."


class RowReader(Protocol):
    """Checks the columns of a table, and makes records of its rows."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in lower case; a table has at least one of them."""
        ...

    def check_columns(self, names: Iterable[str]) -> Finding | None:
        """What is wrong with a table that has these columns, in lower case; None if nothing is."""
        ...

    def read(self, row: Row) -> bytes | Finding:
        """The record of a row, or why there is none. The validator later finds what is wrong within an example."""
        ...


class ChatRowReader:
    """Reads columns `prompt`, `response` and optionally `system`, or `messages`, with any axes and poles."""

    columns = CHAT_COLUMNS

    def __init__(self, axes: Axes) -> None:
        self._emotions = {*axes.poles, *(name.lower() for name in axes)}

    def check_columns(self, names: Iterable[str]) -> Finding | None:
        names = list(names)
        if MESSAGES in names:
            return None
        return find_missing_columns([PROMPT, RESPONSE], names, _COLUMNS_FIX)

    def read(self, row: Row) -> bytes | Finding:
        emotion = {name: _read_number(value) for name, value in row.items() if name in self._emotions}
        others = {name: value for name, value in row.items() if name not in self._emotions}
        if EMOTION in others:
            others[EMOTION] = _read_json(others[EMOTION])
        if MESSAGES in row:
            return self._read_messages(others, emotion)
        reply = make_message("assistant", others.pop(RESPONSE, None))
        if emotion:
            reply[EMOTION] = emotion
        messages = [make_message("user", others.pop(PROMPT, None)), reply]
        if SYSTEM in others:
            messages.insert(0, make_message("system", others.pop(SYSTEM)))
        return to_line({MESSAGES: messages, **others})

    def _read_messages(self, others: dict[str, object], emotion: Mapping[str, object]) -> bytes | Finding:
        value = others.pop(MESSAGES)
        if emotion:
            others[EMOTION] = emotion
        if isinstance(value, str):
            # The cell holds either the list alone or the object around it.
            is_list = value.lstrip().startswith("[")
            text = f'{{"{MESSAGES}": {value}}}' if is_list else value
            document = parse_object(text.encode("utf-8", "surrogateescape"))
            if isinstance(document, Finding):
                # Its column would count from the text added before the list, or be somewhere within the line.
                return document._replace(field=MESSAGES, column=None)
            return to_line(others | document)
        return to_line({MESSAGES: _without_nulls(value), **others})


def make_message(role: str, text: object) -> dict[str, object]:
    """A message; without a text it has no `content`, which the validator reports."""
    return {"role": role} if text is None else {"role": role, "content": text}


def find_missing_columns(wanted: Iterable[str], names: Iterable[str], fix: str) -> Finding | None:
    """A finding for the columns of `wanted` that are not in `names`; None if all are."""
    names = list(names)
    missing = [name for name in wanted if name not in names]
    if not missing:
        return None
    there = ", ".join(quote(name) for name in names[:8]) or "none"
    lacks = " and ".join(quote(name) for name in missing)
    noun = "column" if len(missing) == 1 else "columns"
    return Finding(
        COLUMNS_MISSING, f"the {noun} {lacks} {'is' if len(missing) == 1 else 'are'} missing (there: {there})", fix
    )


def read_header(names: Iterable[object], reader: RowReader) -> tuple[str, ...] | Finding:
    """The names of a table's columns in lower case, without blanks around them, or what is wrong with them."""
    read = tuple(str(name).strip().lower() for name in names)
    twice = next((name for index, name in enumerate(read) if name in read[:index]), None)
    if twice is not None:
        return Finding(COLUMN_TWICE, f"the column {quote(twice)} occurs twice", "Keep one of them.")
    return reader.check_columns(read) or read


def make_row(names: Iterable[str], cells: Iterable[object]) -> Row:
    """A row without its empty cells: an empty text, null, or NaN, which data frames write for null."""
    read = ((name, _to_plain(cell)) for name, cell in zip(names, cells, strict=True))
    return {name: cell for name, cell in read if not _is_absent(cell)}


def to_line(document: Mapping[str, object]) -> bytes | Finding:
    """A document as one line of JSON, or why it can't be written as such."""
    try:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str).encode()
    except UnicodeEncodeError:
        return Finding("not_utf8", "the row has bytes that are not UTF-8", "Save the file as UTF-8.")
    except RecursionError:
        return Finding("json_invalid", "the value is nested too deeply", "Write a plain list of messages.")


def _to_plain(cell: object) -> object:
    """A cell as text or number: some writers of Parquet store texts as bytes, and some numbers are decimals."""
    if isinstance(cell, bytes):
        # Bytes that are not UTF-8 are found when the record is written.
        return cell.decode("utf-8", "surrogateescape")
    return float(cell) if isinstance(cell, Decimal) else cell


def _is_absent(cell: object) -> bool:
    return cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell))


def _read_number(value: object) -> object:
    """The number in a text; any other text is returned unchanged for the validator to refuse."""
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value.strip()) else value
    return value


def _read_json(value: object) -> object:
    """The object or list in a column `emotion`; any other text is returned unchanged for the validator to refuse."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        document = parse_object(f'{{"{EMOTION}": {value}}}'.encode("utf-8", "surrogateescape"))
        return value if isinstance(document, Finding) else document[EMOTION]
    return _without_nulls(value)


def _without_nulls(value: object) -> object:
    """Drop keys without a value: typed columns give every message all keys that any message has."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
