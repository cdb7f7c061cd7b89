"""Mappings: how data with a text and emotion labels becomes chats."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from emomodel.data.formats.codes import LABEL_UNKNOWN
from emomodel.data.formats.goemotions import GOEMOTIONS
from emomodel.data.formats.rows import EMOTION, MESSAGES, Row, find_missing_columns, make_message, to_line
from emomodel.data.problems import Finding, quote
from emomodel.data.tags import escape_tags
from emomodel.emotions import Axes, EmotionError
from emomodel.errors import EmomodelError

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_TRUE = {"1", "1.0", "true", "yes"}
_FALSE = {"", "0", "0.0", "false", "no"}
_DIGITS = 4

Words = Annotated[str, Field(min_length=1, max_length=2000)]


class MappingError(EmomodelError):
    """The mapping can't be used."""

    code = "mapping_invalid"


class LabelMapping(BaseModel):
    """How rows with a text and labels become chats: the text is the assistant's reply, under the labels' emotion."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Words = Field("text", description="The column of the text.")
    label: Words = Field(
        "label",
        description="The column of the labels: names or positions in `labels`, one, a list, or text with separators. "
        "A table without it has a column per label, with 1 where it holds.",
    )
    separator: Words = Field(",", description="Between the labels of a text.")
    labels: dict[str, dict[str, float]] = Field(min_length=1, description="Each label's emotion; `{}` is neutral.")
    prompt: Words = Field(
        "Write what you would say.", description="The user's message; `{column}` stands for that column's text."
    )
    system: Words | None = Field(None, description="The system message, if there is to be one.")

    @field_validator("text", "label")
    @classmethod
    def _column_is_lower_case(cls, value: str) -> str:
        return _read_name(value)

    @field_validator("labels")
    @classmethod
    def _labels_are_lower_case(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        labels = {_read_name(name): emotion for name, emotion in value.items()}
        if len(labels) < len(value):
            twice = next(name for name, count in Counter(map(_read_name, value)).items() if count > 1)
            raise ValueError(f"the label {quote(twice)} occurs twice: blanks and upper case make no difference")
        return labels

    @field_validator("prompt", "system")
    @classmethod
    def _message_is_not_blank(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("the text is blank; write one, or leave the key out")
        return value

    @field_validator("prompt")
    @classmethod
    def _prompt_names_its_columns(cls, value: str) -> str:
        for name in _PLACEHOLDER.findall(value):
            _read_name(name)
        return value


def _read_name(name: str) -> str:
    """Of a column or label: blanks around it and upper case mean nothing."""
    read = name.strip().lower()
    if not read:
        raise ValueError(f"the name {quote(name)} is blank; write the name of a column or label")
    return read


PRESETS = {"goemotions": LabelMapping.model_validate(GOEMOTIONS)}


def read_mapping(text: str, axes: Axes) -> LabelMapping:
    """Read a mapping: a preset's name, or JSON, which may start from a `"preset"`. Raises MappingError."""
    known = f"known presets are {', '.join(PRESETS)}"
    if not text.lstrip().startswith("{"):
        if text not in PRESETS:
            raise MappingError(f"{quote(text)} is neither JSON nor a preset; {known}")
        return _checked(PRESETS[text], axes)
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MappingError(f"not JSON: {error}") from error
    preset = given.pop("preset", None)
    if preset is not None and (not isinstance(preset, str) or preset not in PRESETS):
        raise MappingError(f"{quote(str(preset))} is no preset; {known}")
    base = {} if preset is None else PRESETS[preset].model_dump()
    try:
        json.dumps(given, ensure_ascii=False).encode()
        return _checked(LabelMapping.model_validate(base | given), axes)
    except UnicodeEncodeError as error:
        raise MappingError(r"an escape such as \ud83d is half a character, and its other half is missing") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(part if isinstance(part, str) and part.isprintable() else repr(part) for part in first["loc"])
        raise MappingError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error


def _checked(mapping: LabelMapping, axes: Axes) -> LabelMapping:
    for label, emotion in mapping.labels.items():
        try:
            axes.vector(emotion)
        except EmotionError as error:
            raise MappingError(f"label {quote(label)}: {error}") from error
    return mapping


class LabelRowReader:
    """Makes chats of rows by a mapping."""

    def __init__(self, mapping: LabelMapping, axes: Axes) -> None:
        self._mapping = mapping
        self._axes = axes
        self._names = list(mapping.labels)
        self._vectors = {label: axes.vector(emotion) for label, emotion in mapping.labels.items()}
        self._template_columns = [name.strip().lower() for name in _PLACEHOLDER.findall(mapping.prompt)]

    @property
    def columns(self) -> tuple[str, ...]:
        return (self._mapping.text, self._mapping.label)

    def check_columns(self, names: Iterable[str]) -> Finding | None:
        names = list(names)
        wanted = [self._mapping.text, *self._template_columns]
        if not any(name in self._vectors for name in names):
            wanted.append(self._mapping.label)
        return find_missing_columns(wanted, names, "Name the mapping's columns as they are called in the file.")

    def read(self, row: Row) -> bytes | Finding:
        labels = self._read_labels(row)
        if isinstance(labels, Finding):
            return labels
        reply = make_message("assistant", _escape(row.get(self._mapping.text)))
        emotion = self._combine(labels)
        if emotion:
            reply[EMOTION] = emotion
        messages = [make_message("user", self._fill_prompt(row)), reply]
        if self._mapping.system is not None:
            messages.insert(0, make_message("system", self._mapping.system))
        return to_line({MESSAGES: messages})

    def _read_labels(self, row: Row) -> list[str] | Finding:
        """The labels of a row; a row without any is neutral."""
        if self._mapping.label not in row:
            return self._read_label_columns(row)
        value = row[self._mapping.label]
        given = value if isinstance(value, list) else _split(value, self._mapping.separator)
        labels: list[str] = []
        for item in given:
            label = self._find_label(item)
            if label is None:
                fix = f"Known are {', '.join(self._names)}; or add it to the mapping's labels."
                return Finding(LABEL_UNKNOWN, f"unknown label {quote(str(item))}", fix, self._mapping.label)
            labels.append(label)
        return labels

    def _read_label_columns(self, row: Row) -> list[str] | Finding:
        given = {name: str(row.get(name, "")).strip().lower() for name in self._names}
        for name, value in given.items():
            if value not in _TRUE and value not in _FALSE:
                message = f"{quote(value)} is neither 1 nor 0"
                return Finding(LABEL_UNKNOWN, message, "Write 1 where the label holds, and 0 or nothing else.", name)
        return [name for name, value in given.items() if value in _TRUE]

    def _find_label(self, item: object) -> str | None:
        name = str(item).strip().lower()
        if name in self._vectors:
            return name
        is_position = name.isdecimal() and len(name) < _DIGITS and int(name) < len(self._names)
        return self._names[int(name)] if is_position else None

    def _combine(self, labels: Iterable[str]) -> dict[str, float]:
        """The sum along each axis: similar emotions add up, to at most 1, and opposite ones cancel out."""
        sums = [0.0] * len(self._axes)
        for label in dict.fromkeys(labels):
            sums = [total + value for total, value in zip(sums, self._vectors[label], strict=True)]
        return self._axes.describe(tuple(round(min(max(total, -1.0), 1.0), _DIGITS) for total in sums))

    def _fill_prompt(self, row: Row) -> object:
        return _PLACEHOLDER.sub(lambda match: str(_escape(row.get(match[1].strip().lower(), ""))), self._mapping.prompt)


def _split(value: object, separator: str) -> list[str]:
    return [part for part in str(value).split(separator) if part.strip()]


def _escape(text: object) -> object:
    """Escape what looks like a tag, as in a text from another source it is not one."""
    return escape_tags(text) if isinstance(text, str) else text
