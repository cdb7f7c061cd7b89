"""Reads a line without anything unusual into its turns, several times faster than LineReader.

LineReader defines the format; this is its fast path, which leaves everything that it isn't sure of to LineReader. It
therefore reports no problems itself. A unit test compares the two.
"""

import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, cast

import msgspec
from msgspec import UNSET, UnsetType

from emomodel.data.drafts import CONTROL_TOKEN, MESSAGE_PREFIX, IgnoredKeys, Role, Span, TurnDraft
from emomodel.data.emotion_reader import EmotionReader
from emomodel.data.problems import Finding
from emomodel.data.tags import looks_tagged
from emomodel.emotions import EmotionVector

# A tag and its text, without any other <. It splits a text into: text, attributes, tagged text, text, ...
_PLAIN_TAG = re.compile(r"<emo([\s,][^<>]*)>([^<]*)</emo>")
QUOTES_OF_KEY = 2
_QUOTES_OF_TEXT = 2
# A file may have a new key on every line, and each accepted one costs time on every line.
_KNOWN_KEYS = 8
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]{1,40}")
# Values of other kinds may contain a key twice.
_Scalar = str | int | float | bool | None | UnsetType
_QUOTES_OF_CHAT = 2
# role and content: two keys and two values.
_QUOTES_OF_MESSAGE = 8
# Most datasets have few sequences of roles, but one may have another on each line, with thousands of messages.
_CACHED_ORDERS = 1024
_CACHED_MESSAGES = 64


class PlainMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """A message as it is in the line."""

    role: Literal["system", "user", "assistant", "model"]
    content: str
    emotion: msgspec.Raw | UnsetType = UNSET
    weight: Literal[0, 1] | UnsetType = UNSET


class PlainChat(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """An example as it is in the line."""

    messages: list[PlainMessage]
    emotion: msgspec.Raw | UnsetType = UNSET


class OtherKey(NamedTuple):
    """A key without a meaning in a dataset, and the field of the struct that takes it."""

    prefix: str
    key: str
    field: str


class PlainShape:
    """The keys that plain lines may have: those with a meaning, and a few others that have been seen."""

    def __init__(self) -> None:
        self.others: dict[tuple[str, str], OtherKey] = {}
        self.decode: Callable[[bytes], PlainChat] = msgspec.json.Decoder(PlainChat).decode

    def learn(self, prefix: str, key: str) -> None:
        """Accept this key too, in the example or, with MESSAGE_PREFIX, in its messages."""
        if (prefix, key) in self.others or len(self.others) >= _KNOWN_KEYS or not _PLAIN_KEY.fullmatch(key):
            return
        self.others[prefix, key] = OtherKey(prefix, key, f"other_{len(self.others)}")
        message = self._extend(PlainMessage, MESSAGE_PREFIX)
        chat = self._extend(PlainChat, "", ("messages", list[message]))  # type: ignore[valid-type]  # made just now
        self.decode = cast("Callable[[bytes], PlainChat]", msgspec.json.Decoder(chat).decode)

    def find_others(self, chat: PlainChat) -> Iterator[tuple[OtherKey, int]]:
        """The other keys of a line, and the number of quotes in each and its value."""
        for other in self.others.values():
            for part in chat.messages if other.prefix else (chat,):
                value = getattr(part, other.field)
                if value is not UNSET:
                    yield other, QUOTES_OF_KEY + (_QUOTES_OF_TEXT if isinstance(value, str) else 0)

    def _extend(self, base: type[msgspec.Struct], prefix: str, *fields: tuple[str, type]) -> type[msgspec.Struct]:
        others = [other for other in self.others.values() if other.prefix == prefix]
        return msgspec.defstruct(
            base.__name__,
            [*fields, *((other.field, _Scalar, UNSET) for other in others)],
            bases=(base,),
            rename={other.field: other.key for other in others},
            forbid_unknown_fields=True,
            gc=False,
            kw_only=True,
        )


class _NotPlainError(Exception):
    """The line may be invalid, or only unusual."""


class PlainLineReader:
    """Reads plain lines. It shares the cache of emotions and the count of ignored keys with LineReader."""

    def __init__(self, emotions: EmotionReader, neutral: EmotionVector, ignored: IgnoredKeys) -> None:
        self._emotions = emotions
        self._neutral = neutral
        self._read_attributes = emotions.from_attributes
        self._ignored = ignored
        # The keys that lines may have; LineReader adds those that it finds.
        self.shape = PlainShape()
        self._orders: dict[tuple[str, ...], tuple[Role, ...]] = {}

    def read(self, line: bytes) -> list[TurnDraft] | None:
        """The turns of a line that is certainly an example, or None."""
        try:
            return self._read_chat(line, self.shape.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _NotPlainError):
            return None

    def _read_chat(self, line: bytes, chat: PlainChat) -> list[TurnDraft]:
        messages = chat.messages
        roles = self._read_order(tuple([message.role for message in messages]))
        # The number of quotes in the line if each key occurs once and no text has a quote.
        quote_count = _QUOTES_OF_CHAT + _QUOTES_OF_MESSAGE * len(messages)
        neutral = default = self._neutral
        if chat.emotion is not UNSET:
            default, count = self._read_emotion(chat.emotion)
            quote_count += count
        turns: list[TurnDraft] = []
        has_target = False
        for index, role in enumerate(roles):
            message = messages[index]
            is_target = role == "assistant"
            emotion = default if is_target else neutral
            if message.emotion is not UNSET:
                emotion, count = self._read_emotion(message.emotion)
                quote_count += count
            if message.weight is not UNSET:
                is_target = is_target and message.weight == 1
                quote_count += QUOTES_OF_KEY
            if is_target:
                has_target = True
            content = message.content
            spans: tuple[Span, ...] = ()
            if "<" in content:
                content, spans = self._read_tags(content)
            elif not content or content.isspace() or ("[" in content and CONTROL_TOKEN.search(content)):
                raise _NotPlainError
            turns.append((role, content, emotion, spans, is_target))
        others = [*self.shape.find_others(chat)] if self.shape.others else ()
        quote_count += sum(count for _, count in others) if others else 0
        if not has_target or not _has_quotes(line, quote_count):
            raise _NotPlainError
        for other, _ in others:
            self._ignored.add(other.key, other.prefix)
        return turns

    def _read_order(self, names: tuple[str, ...]) -> tuple[Role, ...]:
        roles = self._orders.get(names)
        if roles is None:
            roles = _check_order(names)
            if len(self._orders) < _CACHED_ORDERS and len(names) <= _CACHED_MESSAGES:
                self._orders[names] = roles
        return roles

    def _read_emotion(self, value: msgspec.Raw) -> tuple[EmotionVector, int]:
        """The emotion, and the number of quotes in it and its key."""
        text = bytes(value)
        emotion = self._emotions.from_plain_json(text)
        if emotion is None:
            raise _NotPlainError
        return emotion, QUOTES_OF_KEY + text.count(b'"')

    def _read_tags(self, text: str) -> tuple[str, tuple[Span, ...]]:
        parts = _PLAIN_TAG.split(text)
        if len(parts) == 1 and not (looks_tagged(text) or CONTROL_TOKEN.search(text)):
            return text, ()
        spans: list[Span] = []
        end = 0
        for index in range(0, len(parts) - 1, 3):
            emotion = self._read_attributes(parts[index + 1])
            tagged = parts[index + 2]
            if isinstance(emotion, Finding) or not tagged or tagged.isspace():
                raise _NotPlainError
            start = end + len(parts[index])
            end = start + len(tagged)
            spans.append(Span(start, end, emotion))
        del parts[1::3]
        content = "".join(parts)
        # Another < may be a tag or a control token, and a backslash may turn a tag into text.
        if "<" in content or "\\" in content or ("[" in content and CONTROL_TOKEN.search(content)):
            raise _NotPlainError
        return content, tuple(spans)


def _check_order(names: tuple[str, ...]) -> tuple[Role, ...]:
    """The roles, if user and assistant alternate after an optional system message. Raises _NotPlainError."""
    roles: list[Role] = ["system"] if names[:1] == ("system",) else []
    for index, name in enumerate(names[len(roles) :]):
        if (name == "user") == bool(index % 2) or name == "system":
            raise _NotPlainError
        roles.append("assistant" if index % 2 else "user")
    if roles[-1:] != ["assistant"]:
        raise _NotPlainError
    return tuple(roles)


def _has_quotes(line: bytes, count: int) -> bool:
    """Whether the line has `count` quotes, not counting those that a backslash makes part of a text.

    It has more if a key occurs twice: the decoder silently keeps the last.
    """
    others = line.count(b'"') - count
    # After two backslashes, a quote ends the text.
    return not others or (others == line.count(b'\\"') and b'\\\\"' not in line)
