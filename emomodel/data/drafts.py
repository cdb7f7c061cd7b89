"""What the readers of a line share: roles, the parts of a turn, control tokens, and the count of ignored keys."""

import re
from typing import Literal

import msgspec

from emomodel.data.problems import quote
from emomodel.emotions import EmotionVector

Role = Literal["system", "user", "assistant"]

# Gemma's control tokens, and the <|...|> kind of other models: in a text, the tokenizer would act on them.
CONTROL_TOKEN = re.compile(
    r"<(?:start_of_turn|end_of_turn|bos|eos|pad|unk|mask|start_of_image|end_of_image|image_soft_token|unused[0-9]{1,5}"
    r"|2mass|\|[^<>|\s]{1,40}\|)>|\[multimodal\]|\[@BOS@\]"
)

# A file may have a new key on every line; this many are counted by name.
_COUNTED_KEYS = 100
OTHER_KEYS = "(others)"
MESSAGE_PREFIX = "messages[]."


class Span(msgspec.Struct, frozen=True, gc=False):
    """Characters `start` to `end` (exclusive) of a turn's content, which have their own emotion.

    It is a msgspec.Struct, because that is cheap to create and a file may have millions of spans.
    """

    start: int
    end: int
    emotion: EmotionVector


# The fields of a Turn, in its order: role, content, emotion, spans, is_target. A plain tuple, for the same reason.
TurnDraft = tuple[Role, str, EmotionVector, tuple[Span, ...], bool]


class IgnoredKeys:
    """Counts keys that mean nothing in a dataset, so that misspelt ones are noticed.

    `counts` is by the key's name, with MESSAGE_PREFIX before keys of messages.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, key: str, prefix: str = "") -> None:
        name = prefix + quote(key)[1:-1]
        if name not in self.counts and len(self.counts) >= _COUNTED_KEYS:
            name = OTHER_KEYS
        self.counts[name] = self.counts.get(name, 0) + 1
