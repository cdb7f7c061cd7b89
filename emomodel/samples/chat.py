"""The turns of a chat -> one tokenised text, with the turn and the emotion of each token.

The base model's own chat template writes the whole text, which is then tokenised at once: a word's tokens must be those
of the untagged text. To find each turn's content in it, the template is also rendered with marks in place of the
contents; what it writes between the marks is its own. The contents are then located between these pieces, whether the
template trims them or not, and by character offsets each token gets the turn and the emotion of its last character.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import jinja2

from emomodel.data.examples import Turn
from emomodel.emotions import EmotionVector
from emomodel.errors import EmomodelError

# Private-use characters don't occur in templates, and no template trims or splits them.
_MARK = "\ue000{}\ue001"


# A template is a small program from a model's folder: it may fail in other ways than refusing the turns.
_TEMPLATE_FAULTS = (
    jinja2.TemplateError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


class ChatError(EmomodelError):
    """The turns can't be written as text for the model."""

    code = "chat_invalid"


class TemplateMissing(ChatError):
    """The tokenizer has no chat template."""

    code = "template_missing"


class TemplateUnsuitable(ChatError):
    """The template refuses the turns, or changes their text beyond trimming it."""

    code = "template_unsuitable"


class ControlTokenInText(ChatError):
    """A turn's text holds a control token of the tokenizer."""

    code = "control_token"


class ChatTokenizer(Protocol):
    """The part of a tokenizer that a chat needs. LightTokenizer and all tokenizers of transformers have it."""

    # A text, several texts by name, or None.
    chat_template: Any

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

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: Literal[False], add_generation_prompt: bool
    ) -> Any:
        """Render a chat as text."""


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


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a turn's content in the rendered text. `shift` is `start` minus the characters trimmed before it."""

    turn: Turn
    start: int
    end: int
    shift: int

    def own_emotion(self, position: int) -> EmotionVector | None:
        """The emotion of the character at `position` of the rendered text, or None."""
        character = position - self.shift
        last_begun = bisect_right(self.turn.spans, character, key=lambda span: span.start) - 1
        if last_begun >= 0 and character < self.turn.spans[last_begun].end:
            return self.turn.spans[last_begun].emotion
        is_given = self.turn.role == "assistant" or any(self.turn.emotion)
        return self.turn.emotion if is_given else None


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
        self._pieces: dict[tuple[tuple[str, ...], bool], list[str]] = {}
        self._control_ids = frozenset(tokenizer.all_special_ids) | {
            index for index, token in tokenizer.added_tokens_decoder.items() if token.special
        }

    def tokenise(self, turns: Sequence[Turn], *, with_reply_header: bool = False) -> TokenisedChat:
        """Tokenise a chat. `with_reply_header` appends the header of the assistant's next reply. Raises ChatError."""
        text, places = self._render(turns, with_reply_header)
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        input_ids: list[int] = encoded["input_ids"]
        # A token without characters, which some tokenizers produce, belongs to the character before it.
        offsets: list[tuple[int, int]] = encoded["offset_mapping"]
        last_characters = [max(end - 1, 0) for _, end in offsets]
        count = len(input_ids)
        chat = TokenisedChat(text, offsets, input_ids, [None] * count, [False] * count, [False] * count)
        first_after = 0
        for place in places:
            first_after = self._lay_turn(chat, place, last_characters, first_after)
        return chat

    def find_end_of_turn_id(self) -> int | None:
        """The id of the control token that ends a reply, or None if the template has none. Raises ChatError."""
        turns = (Turn("user", "a", ()), Turn("assistant", "a", (), is_target=True))
        chat = self.tokenise(turns)
        last = max(index for index, is_reply in enumerate(chat.is_reply) if is_reply)
        token_id = chat.input_ids[last]
        return token_id if token_id in self._control_ids else None

    def _lay_turn(self, chat: TokenisedChat, place: _Place, last_characters: list[int], first: int) -> int:
        """Fill in the tokens of one turn, from token `first` on; return the first token after its content."""
        index = first
        while index < len(last_characters) and last_characters[index] < place.start:
            index += 1
        is_assistant = place.turn.role == "assistant"
        emotion: EmotionVector | None = place.turn.emotion
        while index < len(last_characters) and last_characters[index] < place.end:
            if chat.input_ids[index] in self._control_ids:
                token = self._tokenizer.convert_ids_to_tokens(chat.input_ids[index])
                raise ControlTokenInText(f"a turn of the {place.turn.role} holds the control token {token}; remove it")
            emotion = place.own_emotion(last_characters[index])
            self._enter(chat, index, emotion, is_reply=is_assistant, is_target=place.turn.is_target)
            index += 1
        if is_assistant:
            # A reply includes its ending, up to the first control token; otherwise the model would never learn to stop.
            for closing in range(index, self._end_of_closing(chat.input_ids, index)):
                self._enter(chat, closing, emotion, is_reply=True, is_target=place.turn.is_target)
        return index

    def _end_of_closing(self, input_ids: list[int], start: int) -> int:
        for index in range(start, len(input_ids)):
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

    def _render(self, turns: Sequence[Turn], with_reply_header: bool) -> tuple[str, list[_Place]]:
        """The rendered text, and the place of each turn's content in it."""
        text = self._apply_template([(turn.role, turn.content) for turn in turns], with_reply_header)
        pieces = self._find_pieces(tuple(turn.role for turn in turns), with_reply_header)
        places: list[_Place] = []
        position = len(pieces[0])
        is_found = text.startswith(pieces[0])
        for turn, piece in zip(turns, pieces[1:], strict=True):
            place = _find_place(text, turn, position, piece)
            if place is None:
                is_found = False
                break
            places.append(place)
            position = place.end + len(piece)
        if not is_found or position != len(text):
            raise TemplateUnsuitable("the base model's chat template changes the text of a turn beyond trimming it")
        return text, places

    def _find_pieces(self, roles: tuple[str, ...], with_reply_header: bool) -> list[str]:
        """The pieces that the template writes before, between and after the contents of turns with these roles."""
        key = (roles, with_reply_header)
        if key not in self._pieces:
            marks = [_MARK.format(index) for index in range(len(roles))]
            rest = self._apply_template(list(zip(roles, marks, strict=True)), with_reply_header)
            pieces = []
            for mark in marks:
                piece, found, rest = rest.partition(mark)
                if not found or mark in rest:
                    raise TemplateUnsuitable("the base model's chat template doesn't write each turn once, in order")
                pieces.append(piece)
            self._pieces[key] = [*pieces, rest]
        return self._pieces[key]

    def _apply_template(self, turns: list[tuple[str, str]], with_reply_header: bool) -> str:
        messages = [{"role": role, "content": content} for role, content in turns]
        try:
            text = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=with_reply_header
            )
        except _TEMPLATE_FAULTS as error:
            raise TemplateUnsuitable(f"the base model's chat template refuses these turns: {error}") from error
        return str(text)


def _find_place(text: str, turn: Turn, position: int, piece: str) -> _Place | None:
    """Find the content of `turn`, unchanged or trimmed, at `position` and before the template's `piece`."""
    content = turn.content
    for candidate in (content, content.strip(), content.lstrip(), content.rstrip()):
        if text.startswith(candidate + piece, position):
            trimmed = content.index(candidate) if candidate else 0
            return _Place(turn, position, position + len(candidate), position - trimmed)
    return None
