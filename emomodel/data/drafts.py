"""What the readers of a line agree on: the roles, the parts of a turn, and what no text may hold. [light]"""

import re
from typing import Literal

import msgspec

from emomodel.emotions import EmotionVector

Role = Literal["system", "user", "assistant"]

# Gemma's control tokens, and the <|...|> kind of other models: in a text, the tokenizer would obey them.
CONTROL_TOKEN = re.compile(
    r"<(?:start_of_turn|end_of_turn|bos|eos|pad|unk|mask|start_of_image|end_of_image|image_soft_token|unused[0-9]{1,5}"
    r"|2mass|\|[^<>|\s]{1,40}\|)>|\[multimodal\]|\[@BOS@\]"
)


class Span(msgspec.Struct, frozen=True, gc=False):
    """Characters `start` to `end` (exclusive) of a turn's content that have an emotion of their own.

    A msgspec.Struct, because a reader of millions of them feels what each costs to make.
    """

    start: int
    end: int
    emotion: EmotionVector


# The fields of a Turn, in its order: role, content, emotion, spans, is_target. A bare tuple, for the same reason.
TurnDraft = tuple[Role, str, EmotionVector, tuple[Span, ...], bool]
