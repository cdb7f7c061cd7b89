"""The chat templates of today's models: labels, emotions and prompts are where they should be with each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emomodel.data.drafts import Span
from emomodel.data.examples import Example, Turn
from emomodel.errors import DatasetRefused
from emomodel.samples.chat import ChatFormat, ControlTokenInText, TokenisedChat
from emomodel.samples.chat_text import TemplateUnsuitable
from emomodel.samples.dataset import IGNORED_LABEL, make_sample
from emomodel.samples.light_tokenizer import load_light_tokenizer
from tests.support.chat_templates import CHAT_KINDS, GPT_OSS, LLAMA_3, QWEN_3, ChatKind
from tests.support.tiny_tokenizer import write_tiny_tokenizer

NEUTRAL, JOY, FEAR, USER = (0.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.5, 0.5)
QUESTION = Turn("user", "How was it?", NEUTRAL)
SECOND_QUESTION = Turn("user", "And you?", NEUTRAL)
REPLY = Turn("assistant", "I am happy.", JOY, is_target=True)
LAST_REPLY = Turn("assistant", "Yes, it was fine.", NEUTRAL, (Span(4, 17, FEAR),), is_target=True)
CHAT = (QUESTION, REPLY, SECOND_QUESTION, LAST_REPLY)
SYSTEM = Turn("system", "Answer briefly.", NEUTRAL)


@dataclass(frozen=True)
class Kind:
    kind: ChatKind
    chat_format: ChatFormat

    def list_chats(self) -> list[tuple[Turn, ...]]:
        return [CHAT, (SYSTEM, *CHAT)] if self.kind.takes_system else [CHAT]


def make_format(folder: Path, kind: ChatKind) -> ChatFormat:
    write_tiny_tokenizer(folder, turn_tokens=kind.control_tokens, template=kind.template, strips=kind.strips)
    return ChatFormat(load_light_tokenizer(folder))


@pytest.fixture(scope="module", params=CHAT_KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    found = CHAT_KINDS[request.param]
    return Kind(found, make_format(tmp_path_factory.mktemp("kind"), found))


def mark(chat: TokenisedChat, chosen: Callable[[int], bool]) -> str:
    """The text, with a bar before and after each run of tokens that are chosen."""
    text, position, inside = "", 0, False
    for index, (start, end) in enumerate(chat.offsets):
        if chosen(index) != inside:
            text, inside = text + chat.text[position:start] + "¦", not inside
            position = start
        text, position = text + chat.text[position:end], end
    return text + ("¦" if inside else "")


def test_the_labels_are_the_replies_and_their_ends(kind: Kind) -> None:
    chat = kind.chat_format.tokenise(CHAT)
    assert mark(chat, lambda index: chat.is_target[index]) == kind.kind.text
    sample = make_sample(Example(1, CHAT), kind.chat_format, NEUTRAL, "lead")
    assert [label != IGNORED_LABEL for label in sample["labels"]] == chat.is_target


def test_the_emotion_lies_on_the_replies_and_their_spans(kind: Kind) -> None:
    chat = kind.chat_format.tokenise(CHAT)
    for emotion, text in ((JOY, "I am happy."), (FEAR, " it was fine."), (NEUTRAL, "Yes,")):
        spoken = mark(chat, lambda index, emotion=emotion: chat.own[index] == emotion).split("¦")[1]  # type: ignore[misc]
        assert spoken.strip().startswith(text.strip())
        # The end of a reply belongs to it.
        assert not any(word in spoken for word in ("How", "And", "user", "think", "channel"))
    assert [emotion is None for emotion in chat.own] == [not is_reply for is_reply in chat.is_reply]


def test_everything_before_a_reply_carries_its_emotion(kind: Kind) -> None:
    """So does the block of thoughts that some templates write there."""
    chat = kind.chat_format.tokenise(CHAT)
    vectors = make_sample(Example(1, CHAT), kind.chat_format, NEUTRAL, "lead")["emotion_vectors"]
    first = chat.is_reply.index(True)
    assert set(vectors[:first]) == {JOY}
    first_after = chat.is_reply.index(False, first)
    second = chat.is_reply.index(True, first_after)
    assert set(vectors[first_after:second]) == {NEUTRAL}


def test_a_system_message_changes_nothing_after_it(kind: Kind) -> None:
    for chat in kind.list_chats():
        tokens = kind.chat_format.tokenise(chat)
        marked = mark(tokens, lambda index, tokens=tokens: tokens.is_target[index])  # type: ignore[misc]
        assert marked[marked.index("How was it?") :] == kind.kind.text[kind.kind.text.index("How was it?") :]
        assert ("Answer briefly." in marked) == (SYSTEM in chat)


def test_each_prompt_is_the_beginning_of_the_trained_text(kind: Kind) -> None:
    for chat in kind.list_chats():
        whole = kind.chat_format.tokenise(chat)
        for reply in (REPLY, LAST_REPLY):
            prompt = kind.chat_format.tokenise(chat[: chat.index(reply)], with_reply_header=True)
            count = len(prompt.input_ids)
            assert prompt.input_ids == whole.input_ids[:count]
            assert (whole.is_reply[count - 1 : count + 1], prompt.is_reply) == ([False, True], whole.is_reply[:count])
            assert prompt.own == whole.own[:count]


def test_a_chat_is_the_beginning_of_the_same_chat_with_more_turns(kind: Kind) -> None:
    whole, short = kind.chat_format.tokenise(CHAT), kind.chat_format.tokenise(CHAT[:2])
    # What ends the last reply may differ from what ends an earlier one.
    end = max(index for index, is_reply in enumerate(short.is_reply) if is_reply)
    assert short.input_ids[:end] == whole.input_ids[:end]
    assert whole.is_target[:end] == short.is_target[:end]


def test_every_end_of_a_reply_is_known(kind: Kind) -> None:
    chat = kind.chat_format.tokenise(CHAT)
    last = [index for index in range(len(chat.is_reply)) if chat.is_reply[index : index + 2] in ([True, False], [True])]
    assert len(last) == 2
    assert kind.chat_format.find_end_of_turn_ids() == {chat.input_ids[index] for index in last}


def test_control_tokens_in_a_text_are_named(kind: Kind) -> None:
    token = kind.kind.control_tokens[-1]
    for role in ("user", "assistant"):
        turns = [Turn("user", "a", NEUTRAL), Turn("assistant", "c", NEUTRAL, is_target=True)]
        index = [turn.role for turn in turns].index(role)
        turns[index] = Turn(turns[index].role, f"a {token} b", NEUTRAL, is_target=role == "assistant")
        with pytest.raises(ControlTokenInText) as raised:
            kind.chat_format.tokenise(turns)
        assert f"a turn of the {role} holds the control token {token}" in str(raised.value)


WORDS = st.lists(st.sampled_from(["I", "am", "happy.", "Yes,", "é😀", "it", "\n", "  "]), min_size=1, max_size=8)


@st.composite
def texts(draw: st.DrawFn) -> str:
    space = st.sampled_from(["", " ", "  ", "\n", " \n "])
    return draw(space) + "A" + " ".join(draw(WORDS)) + "z" + draw(space)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(texts(), min_size=4, max_size=4))
def test_labels_are_the_contents_whatever_they_are(kind: Kind, contents: list[str]) -> None:
    """Whatever spaces a template trims, and whatever its tokens take in, the words of each reply are labels."""
    turns = []
    for question, reply in zip(contents[::2], contents[1::2], strict=True):
        turns.append(Turn("user", question.replace("A", "B"), NEUTRAL))
        turns.append(Turn("assistant", reply, JOY, is_target=True))
    chat = kind.chat_format.tokenise(turns)
    learned = mark(chat, lambda index: chat.is_target[index]).split("¦")[1::2]
    joyful = mark(chat, lambda index: chat.own[index] == JOY).split("¦")[1::2]
    assert learned == joyful
    for text, reply in zip(learned, contents[1::2], strict=True):
        assert text.strip().startswith(reply.strip())
        assert "user" not in text
    for text in mark(chat, lambda index: chat.is_target[index]).split("¦")[::2]:
        assert not any(reply.strip() in text for reply in contents[1::2])


@pytest.mark.parametrize("template", [LLAMA_3, GPT_OSS])
def test_a_date_is_the_same_on_every_day(tmp_path: Path, template: str) -> None:
    kind = next(kind for kind in CHAT_KINDS.values() if kind.template == template)
    with patch("emomodel.samples.chat_template.date", wraps=datetime) as clock:
        chat = make_format(tmp_path, kind).tokenise(CHAT)
    assert clock.mock_calls == []
    assert str(datetime.now().astimezone().year) not in chat.text
    assert "2024" in chat.text


def refuse(folder: Path, template: str, *turns: Turn) -> str:
    kind = ChatKind(template, "", ("<start_of_turn>", "<end_of_turn>", "<|im_start|>", "<|im_end|>"))
    with pytest.raises(TemplateUnsuitable) as raised:
        make_format(folder, kind).tokenise(turns)
    return str(raised.value)


@pytest.mark.parametrize("name", ["Gemma 1 and 2", "Mistral 7B"])
def test_a_template_without_system_messages_says_where_to_put_them(tmp_path: Path, name: str) -> None:
    message = refuse(tmp_path, CHAT_KINDS[name].template, SYSTEM, *CHAT)
    assert "put that message's text into the first user message" in message
    with pytest.raises(DatasetRefused, match="line 3: the base model's chat template"):
        make_sample(Example(3, (SYSTEM, *CHAT)), make_format(tmp_path, CHAT_KINDS[name]), NEUTRAL, "lead")


def test_thoughts_in_a_reply_are_refused_with_a_reason(tmp_path: Path) -> None:
    thoughtful = Turn("assistant", "<think>\nWell.\n</think>\n\nYes.", JOY, is_target=True)
    message = refuse(tmp_path, QWEN_3, QUESTION, thoughtful)
    assert "changes the text of a turn" in message
    assert "such as thoughts" in message


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param(
            "{% for m in messages %}<start_of_turn>{{ m.content | upper }}{% endfor %}",
            "changes the text of a turn",
            id="it changes texts",
        ),
        pytest.param(
            "{% for m in messages %}{{ m.content }}{% if '?' in m.content %}!{% endif %}{% endfor %}",
            "changes the text of a turn",
            id="it adds to some texts",
        ),
        pytest.param(
            "{% for m in messages %}{{ m.content }}{% if m.content == 'Yes, it was fine.' %}!{% endif %}{% endfor %}",
            "changes the text of a turn",
            id="it adds to the last text",
        ),
        pytest.param(
            "{% for m in messages | reverse %}{{ m.content }}{% endfor %}", "each turn once, in order", id="reversed"
        ),
        pytest.param("{{ messages[-1].content }}", "each turn once, in order", id="only the last turn"),
        pytest.param(
            "{% for m in messages %}{{ m.role ~ messages | length ~ m.content }}{% endfor %}",
            "header of an earlier reply",
            id="headers count the turns",
        ),
        pytest.param(
            "{{ messages | length }}{% for m in messages %}{{ m.role ~ m.content }}{% endfor %}",
            "the beginning of a chat in another way when more turns follow",
            id="the beginning counts the turns",
        ),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_with_a_reason(tmp_path: Path, template: str, message: str) -> None:
    assert message in refuse(tmp_path, template, *CHAT)


def test_a_reply_without_an_end_does_not_take_in_the_next_header(tmp_path: Path) -> None:
    """The first control token after the first reply is that at the end of the chat."""
    template = "{% for m in messages %}{{ '\n### ' ~ m.role ~ ':\n' ~ m.content }}{% endfor %}{{ eos_token }}"
    chat_format = make_format(tmp_path, ChatKind(template, "", ("<other>",)))
    chat = chat_format.tokenise(CHAT)
    learned = mark(chat, lambda index: chat.is_target[index])
    assert learned == (
        "\n### user:\nHow was it?\n### assistant:\n¦I am happy.¦\n### user:\nAnd you?\n### assistant:\n"
        "¦Yes, it was fine.<eos>¦"
    )
