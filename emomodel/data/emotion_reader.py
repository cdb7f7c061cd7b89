"""Reads emotions as people write them, in a tag's attributes or as JSON, into emotion vectors."""

import difflib
import math
import re
from typing import cast

import msgspec

from emomodel.data.problems import Finding, ProblemCode, quote
from emomodel.emotions import Axes, EmotionError, EmotionVector

_SEPARATORS = re.compile(r"[\s,]+")
_ATTRIBUTE = re.compile(r'([A-Za-z]\w*)(?:(=)("?)([^"]*)\3)?', re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

# Most tags in a dataset are short and recur; others are read each time.
_CACHED_ATTRIBUTES = 8192
_CACHED_LENGTH = 80
# Finding the nearest name takes 0.1 ms, so that a file full of misspellings gets this help for a limited number.
_CACHED_ADVICE = 256
_LONGEST_GUESS = 40

_DECODER = msgspec.json.Decoder(dict[str, float] | list[float])

_OBJECT_FIX = 'Write an object such as {"joy": 0.8}, or a list with one number per axis.'
_DECIMAL_FIX = "Write name=value, as in <emo joy=0.8>, with a point before decimals."


class EmotionReader:
    """Reads emotions along one set of axes. Each method returns the vector, or a Finding that says what is wrong."""

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        # By name: the axis, the sign of a value along it, and the lowest value allowed.
        self._directions: dict[str, tuple[int, float, float]] = {}
        for index, name in enumerate(axes):
            negative, positive = name.lower().split("_")
            self._directions |= {
                name.lower(): (index, 1.0, -1.0),
                negative: (index, -1.0, 0.0),
                positive: (index, 1.0, 0.0),
            }
        self._attributes: dict[str, EmotionVector | Finding] = {}
        self._plain_json: dict[bytes, EmotionVector] = {}
        self._advice: dict[str, str] = {}

    def from_attributes(self, text: str) -> EmotionVector | Finding:
        """Read the text between `<emo` and `>`: `joy=0.9, fear="0.2"`, or `joy`, which means joy=1."""
        emotion = self._attributes.get(text)
        if emotion is None:
            emotion = self._read_attributes(text)
            if len(self._attributes) < _CACHED_ATTRIBUTES and len(text) <= _CACHED_LENGTH:
                self._attributes[text] = emotion
        return emotion

    def from_plain_json(self, text: bytes) -> EmotionVector | None:
        """The vector that `from_json` returns for this JSON, or None if it may not be a vector."""
        emotion = self._plain_json.get(text)
        if emotion is None:
            emotion = self._read_plain_json(text)
            if emotion is not None and len(self._plain_json) < _CACHED_ATTRIBUTES and len(text) <= _CACHED_LENGTH:
                self._plain_json[text] = emotion
        return emotion

    def from_json(self, value: object) -> EmotionVector | Finding:
        """Read an object of names and numbers, or a list with one number per axis."""
        if isinstance(value, list):
            return self._read_list(value)
        if not isinstance(value, dict):
            return Finding("emotion_not_object", f"the emotion is {_kind(value)}", _OBJECT_FIX)
        pairs: list[tuple[str, float]] = []
        for name, item in value.items():
            number = item if type(item) is float else _read_number(item, name)
            if isinstance(number, Finding):
                return number
            pairs.append((name, number))
        return self._vector(pairs)

    def _read_plain_json(self, text: bytes) -> EmotionVector | None:
        try:
            value = _DECODER.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        # The decoder keeps the last of two equal keys. Each key is followed by a colon, and no known name contains one.
        if isinstance(value, dict) and len(value) != text.count(b":"):
            return None
        emotion = self.from_json(value)
        return None if isinstance(emotion, Finding) else emotion

    def _read_attributes(self, text: str) -> EmotionVector | Finding:
        words = [word for word in _SEPARATORS.split(text) if word]
        if not words:
            return Finding("tag_without_emotion", "the tag names no emotion", _DECIMAL_FIX)
        pairs: list[tuple[str, float]] = []
        for word in words:
            match = _ATTRIBUTE.fullmatch(word)
            if match is None:
                return Finding("tag_malformed", f"{quote(word)} is not of the form name=value", _DECIMAL_FIX)
            name, equals, _, value = match.groups()
            if equals and not value:
                return Finding("emotion_value_missing", f"{quote(name)} has no value after its =", _DECIMAL_FIX)
            if equals and not _NUMBER.fullmatch(value):
                return Finding("emotion_not_a_number", f"{quote(word)} has no number as its value", _DECIMAL_FIX)
            pairs.append((name, float(value) if equals else 1.0))
        return self._vector(pairs)

    def _read_list(self, items: list[object]) -> EmotionVector | Finding:
        numbers: list[float] = []
        for index, item in enumerate(items, start=1):
            number = item if type(item) is float else _read_number(item, index)
            if isinstance(number, Finding):
                return number
            numbers.append(number)
        try:
            return self._axes.vector_from_list(numbers)
        except EmotionError as error:
            return _finding_of(error)

    def _vector(self, pairs: list[tuple[str, float]]) -> EmotionVector | Finding:
        vector = [0.0] * len(self._axes)
        given = set()
        for name, value in pairs:
            direction = self._directions.get(name.lower())
            if direction is None or direction[0] in given or not direction[2] <= value <= 1.0:
                return self._explain(pairs)
            index, sign, _ = direction
            given.add(index)
            # Adding 0.0 turns a negative zero into zero.
            vector[index] = sign * value + 0.0
        return tuple(vector)

    def _explain(self, pairs: list[tuple[str, float]]) -> EmotionVector | Finding:
        for name, _ in pairs:
            if name.lower() not in self._directions:
                return Finding("emotion_unknown", f"unknown emotion {quote(name)}", self._advise(name.lower()))
        try:
            return self._axes.vector(pairs)
        except EmotionError as error:
            return _finding_of(error)

    def _advise(self, name: str) -> str:
        """Suggest the nearest known name. Axes.vector does so too, but without a limit on the time spent."""
        advice = self._advice.get(name)
        if advice is None:
            advice = f"Known are {', '.join(self._axes.poles)}."
            if len(name) <= _LONGEST_GUESS and len(self._advice) < _CACHED_ADVICE:
                near = difflib.get_close_matches(name, self._directions, n=1, cutoff=0.5)
                advice = f"Did you mean {near[0]!r}? {advice}" if near else advice
                self._advice[name] = advice
        return advice


def _read_number(value: object, key: str | int) -> float | Finding:
    name = quote(key) if isinstance(key, str) else f"number {key} of the list"
    if value is None:
        return Finding("emotion_value_missing", f"{name} has no value", _OBJECT_FIX)
    # In Python a bool is an int, but a dataset's author doesn't mean a number.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Finding("emotion_not_a_number", f"{name} is {_kind(value)}, not a number", _OBJECT_FIX)
    try:
        return float(value)
    except OverflowError:  # an integer larger than any float, so out of any range
        return math.inf


def _finding_of(error: EmotionError) -> Finding:
    """A finding from an EmotionError, whose text is `message; advice`."""
    message, _, advice = str(error).rpartition("; ")
    return Finding(cast("ProblemCode", error.code), message, f"{advice[:1].upper()}{advice[1:]}.")


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "true or false", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")
