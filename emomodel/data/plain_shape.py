"""What msgspec makes of a plain line, and the decoder for it. [light]"""

import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, cast

import msgspec
from msgspec import UNSET, UnsetType

from emomodel.data.ignored_keys import MESSAGE_PREFIX

QUOTES_OF_KEY = 2
_QUOTES_OF_TEXT = 2
# A file may have a new key on every line; each known one costs time on every line.
_KNOWN_KEYS = 8
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]{1,40}")
# Values of other kinds may hold a key twice.
_Scalar = str | int | float | bool | None | UnsetType


class PlainMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """A message as it stands in the line."""

    role: Literal["system", "user", "assistant", "model"]
    content: str
    emotion: msgspec.Raw | UnsetType = UNSET
    weight: Literal[0, 1] | UnsetType = UNSET


class PlainChat(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """An example as it stands in the line."""

    messages: list[PlainMessage]
    emotion: msgspec.Raw | UnsetType = UNSET


class OtherKey(NamedTuple):
    """A key without meaning for a dataset, and the field that a struct has for it."""

    prefix: str
    key: str
    field: str


class PlainShape:
    """The keys that plain lines may have: the ones with a meaning, and a few others that were seen before."""

    def __init__(self) -> None:
        self.others: dict[tuple[str, str], OtherKey] = {}
        self.decode: Callable[[bytes], PlainChat] = msgspec.json.Decoder(PlainChat).decode

    def learn(self, prefix: str, key: str) -> None:
        """Let lines have this key too, as one of the example or, with MESSAGE_PREFIX, of its messages."""
        if (prefix, key) in self.others or len(self.others) >= _KNOWN_KEYS or not _PLAIN_KEY.fullmatch(key):
            return
        self.others[prefix, key] = OtherKey(prefix, key, f"other_{len(self.others)}")
        message = self._extend(PlainMessage, MESSAGE_PREFIX)
        chat = self._extend(PlainChat, "", ("messages", list[message]))  # type: ignore[valid-type]  # made just now
        self.decode = cast("Callable[[bytes], PlainChat]", msgspec.json.Decoder(chat).decode)

    def find_others(self, chat: PlainChat) -> Iterator[tuple[OtherKey, int]]:
        """The other keys of a line, and how many quotes each takes with its value."""
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
