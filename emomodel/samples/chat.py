"""The turns of a chat -> one tokenised text, with the turn and the emotion of each token.

The text is tokenised at once: a word's tokens must be those of the untagged text. By character offsets each token gets
the turn and the emotion of its last character.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from emomodel.data.examples import Turn
from emomodel.emotions import EmotionVector
from emomodel.samples.chat_places import Place
from emomodel.samples.chat_text import (
    ChatError,
    ChatRenderer,
    TemplateMissing,
    TemplateOwner,
    TemplateUnsuitable,
)

# Two replies, as some templates end the last reply of a chat with another token than an earlier one.
_SHORT_CHAT = (Turn("user", "a", ()), Turn("assistant", "a", (), is_target=True)) * 2


class ControlTokenInText(ChatError):
    """A turn's text holds a control token of the tokenizer."""

    code = "control_token"


class ChatTokenizer(TemplateOwner, Protocol):
    """The part of a tokenizer that a chat needs. LightTokenizer and all tokenizers of transformers have it."""

    @property
    def is_fast(self) -> bool:
        """Whether the tokenizer returns the character offsets of tokens."""

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of the tokens that the tokenizer's config names as special."""

    @property
    def added_tokens_decoder(self) -> Mapping[int, Any]:
        """The tokens that are matched in a text before all others, by id; each has an attribute `special`."""

    def __call__(self, text: str, *, add_special_tokens: bool, return_offsets_mapping: bool) -> Mapping[str, Any]:
        """Tokenise a text; the result has `input_ids` and `offset_mapping`."""

    def convert_ids_to_tokens(self, ids: int) -> Any:
        """The token of an id, as the vocabulary writes it."""


@dataclass(frozen=True, slots=True)
class TokenisedChat:
    """A text and its tokens. The lists have one entry per token.

    `offsets`: the token's first character in `text`, and the one after its last. `own`: the emotion of the token's own
    text; replies always have one, other turns only if one was given, else it is None. `is_reply`: whether the token
    belongs to the content of an assistant turn, or ends it. `is_target`: whether it is also to be learned.
    """

    text: str
    offsets: list[tuple[int, int]]
    input_ids: list[int]
    own: list[EmotionVector | None]
    is_reply: list[bool]
    is_target: list[bool]


class ChatFormat:
    """The chat format of one base model: its tokenizer and its template."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        """Raises TemplateMissing, and TemplateUnsuitable for a tokenizer that gives no offsets."""
        if not tokenizer.chat_template:
            raise TemplateMissing(
                "the base model's tokenizer has no chat template; use an instruction-tuned base model, "
                "or put its chat_template.jinja into the folder"
            )
        if not tokenizer.is_fast:
            raise TemplateUnsuitable("the base model's tokenizer gives no offsets; it needs a tokenizer.json")
        self._tokenizer = tokenizer
        self._renderer = ChatRenderer(tokenizer)
        self._control_ids = frozenset(tokenizer.all_special_ids) | {
            index for index, token in tokenizer.added_tokens_decoder.items() if token.special
        }

    def tokenise(self, turns: Sequence[Turn], *, with_reply_header: bool = False) -> TokenisedChat:
        """Tokenise a chat. `with_reply_header` appends the header of the assistant's next reply. Raises ChatError."""
        try:
            text, places = self._renderer.render(turns, with_reply_header=with_reply_header)
        except TemplateUnsuitable:
            # Templates take apart what looks like their own tokens; which one it is says more.
            self._check_contents(turns)
            raise
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        input_ids: list[int] = encoded["input_ids"]
        offsets: list[tuple[int, int]] = encoded["offset_mapping"]
        count = len(input_ids)
        chat = TokenisedChat(text, offsets, input_ids, [None] * count, [False] * count, [False] * count)
        # A token without characters, which some tokenizers produce, belongs to the character before it.
        last_characters = [max(end - 1, 0) for _, end in offsets]
        for place in places:
            self._lay_turn(chat, place, last_characters)
        return chat

    def find_end_of_turn_ids(self) -> set[int]:
        """The ids of the control tokens that end replies; empty if the template has none. Raises ChatError."""
        chat = self.tokenise(_SHORT_CHAT)
        following = [*chat.is_reply[1:], False]
        ends = {
            token_id
            for token_id, is_reply, continues in zip(chat.input_ids, chat.is_reply, following, strict=True)
            if is_reply and not continues
        }
        return ends & self._control_ids

    def _check_contents(self, turns: Sequence[Turn]) -> None:
        """Raise ControlTokenInText if a turn holds a control token."""
        for turn in turns:
            encoded = self._tokenizer(turn.content, add_special_tokens=False, return_offsets_mapping=True)
            for token_id in encoded["input_ids"]:
                self._refuse_control_token(turn, token_id)

    def _refuse_control_token(self, turn: Turn, token_id: int) -> None:
        if token_id in self._control_ids:
            token = self._tokenizer.convert_ids_to_tokens(token_id)
            raise ControlTokenInText(f"a turn of the {turn.role} holds the control token {token}; remove it")

    def _lay_turn(self, chat: TokenisedChat, place: Place, last_characters: list[int]) -> None:
        """Fill in the tokens of one turn."""
        start = bisect_left(last_characters, place.start)
        end = bisect_left(last_characters, place.end, start)
        if start < end and chat.offsets[start][0] < place.start and chat.input_ids[start] in self._control_ids:
            # A control token of the header that takes in the spaces after it, as Phi-3's do.
            start += 1
        is_assistant = place.turn.role == "assistant"
        emotion: EmotionVector | None = place.turn.emotion
        for index in range(start, end):
            self._refuse_control_token(place.turn, chat.input_ids[index])
            emotion = place.own_emotion(last_characters[index])
            self._enter(chat, index, emotion, is_reply=is_assistant, is_target=place.turn.is_target)
        if is_assistant:
            # A reply includes its ending, up to the first control token; otherwise the model would never learn to stop.
            limit = bisect_left(last_characters, place.limit, end)
            for index in range(end, self._end_of_closing(chat.input_ids, end, limit)):
                self._enter(chat, index, emotion, is_reply=True, is_target=place.turn.is_target)

    def _end_of_closing(self, input_ids: list[int], start: int, limit: int) -> int:
        """The token after the first control token from `start` on; `start` if there is none before token `limit`."""
        for index in range(start, limit):
            if input_ids[index] in self._control_ids:
                return index + 1
        return start

    @staticmethod
    def _enter(
        chat: TokenisedChat, index: int, emotion: EmotionVector | None, *, is_reply: bool, is_target: bool
    ) -> None:
        chat.own[index] = emotion
        chat.is_reply[index] = is_reply
        chat.is_target[index] = is_reply and is_target
