"""The turns of a chat -> the text that the base model's chat template makes of it, with the place of each turn.

The template writes the whole text. To find each turn's content in it, the template is also rendered with marks in place
of the contents; what it writes between the marks is its own. The contents are then located between these pieces,
whether the template trims them or not.

A chat has one text, in training, statistics, reference answers and generation alike, on every day:

- A template that asks for the time gets a fixed date.
- A template with a switch for thinking gets it switched off, since the replies hold no thoughts.
- Every reply opens as the template opens one that is about to be written. Some templates write an empty block of
  thoughts before the last reply only (Qwen3), or only where a reply is to be written (large Gemma 4): then each reply
  gets it, as otherwise it would be learned after another text than it is later written after.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import jinja2

from emomodel.data.examples import Turn
from emomodel.errors import EmomodelError
from emomodel.samples.chat_places import Place, find_contents
from emomodel.samples.chat_template import format_fixed_date

# Private-use characters don't occur in templates, and no template trims or splits them.
_MARK = "\ue000{}\ue001"
_REPLY = "assistant"
# Chats with one and with two replies, which show how a template opens the last reply and an earlier one.
_ONE_REPLY = ("user", _REPLY)
_TWO_REPLIES = _ONE_REPLY * 2

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


class TemplateOwner(Protocol):
    """The part of a tokenizer that renders its chat template."""

    # A text, several texts by name, or None.
    chat_template: Any

    def apply_chat_template(
        self,
        conversation: list[dict[str, str]],
        *,
        tokenize: Literal[False],
        add_generation_prompt: bool,
        enable_thinking: bool,
        strftime_now: Callable[[str], str],
    ) -> Any:
        """Render a chat as text. The last two arguments are variables of the template."""


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What stands before, between and after the contents of turns: n + 1 pieces for n turns.

    `written`: as the template writes them. `used`: with every reply opened as one that is about to be written.
    """

    written: list[str]
    used: list[str]


class ChatRenderer:
    """Renders chats with the chat template of one tokenizer."""

    def __init__(self, tokenizer: TemplateOwner) -> None:
        self._tokenizer = tokenizer
        self._pieces: dict[tuple[str, ...], _Pieces] = {}

    def render(self, turns: Sequence[Turn], *, with_reply_header: bool) -> tuple[str, list[Place]]:
        """The text of a chat, and the place of each turn's content in it. Raises TemplateUnsuitable.

        `with_reply_header` appends the header of the assistant's next reply. The spaces at its end are left out: they
        are part of the token of the reply's first word.
        """
        roles: tuple[str, ...] = tuple(turn.role for turn in turns)
        contents = [turn.content for turn in turns]
        if with_reply_header:
            roles, contents = (*roles, _REPLY), [*contents, _MARK.format(len(turns))]
        pieces = self._find_pieces(roles)
        written = self._apply_template(roles, contents)
        kept = find_contents(written, contents, pieces.written)
        if kept is None:
            raise TemplateUnsuitable(
                "the base model's chat template changes the text of a turn beyond trimming it, or writes something "
                "else beside it than beside another text; take out of the turns what isn't spoken, such as thoughts"
            )
        text = pieces.used[0]
        places: list[Place] = []
        for turn, (first, end), piece in zip(turns, kept, pieces.used[1:], strict=False):
            start = len(text)
            text += turn.content[first:end]
            places.append(Place(turn, start, len(text), len(text) + len(piece), start - first))
            text += piece
        return text.rstrip(" ") if with_reply_header else text, places

    def _find_pieces(self, roles: tuple[str, ...]) -> _Pieces:
        if roles not in self._pieces:
            written = self._split(roles)
            used = self._open_replies(roles, written)
            self._check_beginning(roles, used)
            self._pieces[roles] = _Pieces(written, used)
        return self._pieces[roles]

    def _open_replies(self, roles: tuple[str, ...], written: list[str]) -> list[str]:
        used = list(written)
        for index in [index for index, role in enumerate(roles) if role == _REPLY]:
            earlier, last = self._openings
            opening = last if index == len(roles) - 1 else earlier
            if not used[index].endswith(opening):
                used[index] += opening
        return used

    @cached_property
    def _openings(self) -> tuple[str, str]:
        """What to add to the header of an earlier reply, and to that of the last one. Raises TemplateUnsuitable."""
        header, earlier = self._split(_ONE_REPLY)[1], self._split(_TWO_REPLIES)[1]
        prompt, thinking = (self._split(("user",), for_reply=True, with_thoughts=switch)[1] for switch in (False, True))
        # A prompt that the switch for thinking doesn't change may begin a thought that no reply here would end.
        if prompt != thinking and prompt.startswith(header):
            added, header = prompt[len(header) :], prompt
        else:
            added = ""
        if not header.startswith(earlier):
            raise TemplateUnsuitable(
                "the base model's chat template writes the header of an earlier reply in another way than that of the "
                "last one; put a template that writes all replies alike into the model folder's chat_template.jinja"
            )
        return header[len(earlier) :], added

    def _check_beginning(self, roles: tuple[str, ...], used: list[str]) -> None:
        """Raise TemplateUnsuitable if the text up to the first reply is another one when more turns follow."""
        end = roles.index(_REPLY) + 1 if _REPLY in roles else len(roles)
        if end < len(roles) and self._find_pieces(roles[:end]).used[:end] != used[:end]:
            raise TemplateUnsuitable(
                "the base model's chat template writes the beginning of a chat in another way when more turns follow; "
                "put a template that doesn't into the model folder's chat_template.jinja"
            )

    def _split(self, roles: tuple[str, ...], *, for_reply: bool = False, with_thoughts: bool = False) -> list[str]:
        """The pieces that the template writes before, between and after the contents of turns with these roles."""
        marks = [_MARK.format(index) for index in range(len(roles))]
        rest = self._apply_template(roles, marks, for_reply=for_reply, with_thoughts=with_thoughts)
        pieces = []
        for mark in marks:
            piece, found, rest = rest.partition(mark)
            if not found or mark in rest:
                raise TemplateUnsuitable(
                    "the base model's chat template doesn't write each turn once, in order; put one that does into the "
                    "model folder's chat_template.jinja" + _advise_on_system(roles)
                )
            pieces.append(piece)
        return [*pieces, rest]

    def _apply_template(
        self,
        roles: Sequence[str],
        contents: Sequence[str],
        *,
        for_reply: bool = False,
        with_thoughts: bool = False,
    ) -> str:
        messages = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)]
        try:
            text = self._tokenizer.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=for_reply,
                enable_thinking=with_thoughts,
                strftime_now=format_fixed_date,
            )
        except _TEMPLATE_FAULTS as error:
            raise TemplateUnsuitable(
                f"the base model's chat template refuses these turns: {error}{_advise_on_system(roles)}"
            ) from error
        return str(text)


def _advise_on_system(roles: Sequence[str]) -> str:
    if "system" not in roles:
        return ""
    return " (if it takes no system message, put that message's text into the first user message)"
