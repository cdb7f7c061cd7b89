"""From turns to tokens: the rule of the emotions, labels, offsets, cuts."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from emomodel.batches.collator import DataCollatorForEmotionalGemma, DataCollatorForEmotionalLlama
from emomodel.data.drafts import Span
from emomodel.data.examples import Example, Turn
from emomodel.emotions import EmotionVector
from emomodel.errors import DatasetRefused
from emomodel.samples.chat import ChatFormat, ControlTokenInText
from emomodel.samples.chat_text import TemplateMissing, TemplateUnsuitable
from emomodel.samples.dataset import IGNORED_LABEL, fit_sample, lay_emotions, make_sample, make_samples

pytestmark = pytest.mark.model

NEUTRAL, JOY, FEAR, ANGER, USER = (0.0, 0.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0), (0.5, 0.5)
NAMES = {"-": None, "0": NEUTRAL, "j": JOY, "f": FEAR, "a": ANGER, "u": USER}


@pytest.fixture(scope="module")
def tokenizer(tiny_gemma: Path) -> PreTrainedTokenizerBase:
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(tiny_gemma)
    return loaded


@pytest.fixture(scope="module")
def chat_format(tokenizer: PreTrainedTokenizerBase) -> ChatFormat:
    return ChatFormat(tokenizer)


# One letter per token: `own` as in NAMES (- is none), `reply` marks the tokens of replies.
@pytest.mark.parametrize(
    ("own", "reply", "lead", "token"),
    [
        pytest.param("----jjj-", "    rrr ", "jjjjjj00", "0000jjj0", id="the prompt carries the reply's emotion"),
        pytest.param("---jjff-", "   rrrr ", "jjjjff00", "000jjff0", id="a span leads by one token"),
        pytest.param("--jj---ff-", "  rr   rr ", "jjjfffff00", "00jj000ff0", id="each reply has a prompt of its own"),
        pytest.param(
            "-uu--jj-", "     rr ", "juujjj00", "0uu00jj0", id="the user's emotion stays on the user's tokens"
        ),
        pytest.param("-uujj", "   rr", "jujj0", "0uujj", id="what decides a reply's token carries the reply's emotion"),
        pytest.param("--jj--", "  rr  ", "jjj000", "00jj00", id="after the last reply it is neutral"),
        pytest.param("--00--", "  rr  ", "000000", "000000", id="a neutral reply has a neutral prompt"),
        pytest.param("---", "   ", "000", "000", id="without a reply all is neutral"),
    ],
)
def test_lay_emotions(own: str, reply: str, lead: str, token: str) -> None:
    emotions, is_reply = [NAMES[letter] for letter in own], [letter == "r" for letter in reply]
    assert lay_emotions(emotions, is_reply, NEUTRAL, "lead") == [NAMES[letter] for letter in lead]
    assert lay_emotions(emotions, is_reply, NEUTRAL, "token") == [NAMES[letter] for letter in token]


def _pieces(tokenizer: PreTrainedTokenizerBase, ids: list[int], chosen: list[bool]) -> str:
    return str(tokenizer.decode([token for token, is_chosen in zip(ids, chosen, strict=True) if is_chosen]))


def test_labels_are_the_target_replies_and_their_ends(
    tokenizer: PreTrainedTokenizerBase, chat_format: ChatFormat
) -> None:
    example = Example(
        1,
        (
            Turn("system", "Answer briefly.", NEUTRAL),
            Turn("user", "Hi!", NEUTRAL),
            Turn("assistant", "Not this.", NEUTRAL),
            Turn("user", "And you?", NEUTRAL),
            Turn("assistant", " I am happy. ", JOY, is_target=True),
        ),
    )
    sample = make_sample(example, chat_format, NEUTRAL, "token")
    text = tokenizer.decode(sample["input_ids"])
    assert text == (
        "<bos><start_of_turn>user\nAnswer briefly.\n\nHi!<end_of_turn>\n<start_of_turn>model\nNot this.<end_of_turn>\n"
        "<start_of_turn>user\nAnd you?<end_of_turn>\n<start_of_turn>model\nI am happy.<end_of_turn>\n"
    )
    labelled = [label != IGNORED_LABEL for label in sample["labels"]]
    assert _pieces(tokenizer, sample["input_ids"], labelled) == "I am happy.<end_of_turn>"
    assert [label for label in sample["labels"] if label != IGNORED_LABEL] == [
        token for token, is_label in zip(sample["input_ids"], labelled, strict=True) if is_label
    ]
    joyful = [vector == JOY for vector in sample["emotion_vectors"]]
    assert _pieces(tokenizer, sample["input_ids"], joyful) == "I am happy.<end_of_turn>"
    assert len({len(value) for value in (sample["attention_mask"], sample["labels"], sample["emotion_vectors"])}) == 1


def test_prompt_with_header_is_the_beginning_of_the_trained_text(chat_format: ChatFormat) -> None:
    question = Turn("user", "How was it?", NEUTRAL)
    prompt = chat_format.tokenise((question,), with_reply_header=True)
    whole = chat_format.tokenise((question, Turn("assistant", "Fine.", JOY, is_target=True)))
    assert whole.input_ids[: len(prompt.input_ids)] == prompt.input_ids
    assert whole.is_reply.index(True) == len(prompt.input_ids)


def test_user_emotion_lies_on_the_user_tokens(tokenizer: PreTrainedTokenizerBase, chat_format: ChatFormat) -> None:
    turns = (
        Turn("user", "Well. I am afraid.", NEUTRAL, spans=(Span(6, 18, FEAR),)),
        Turn("assistant", "I am here.", JOY, is_target=True),
    )
    sample = make_sample(Example(1, turns), chat_format, NEUTRAL, "lead")
    fearful = [vector == FEAR for vector in sample["emotion_vectors"]]
    assert _pieces(tokenizer, sample["input_ids"], fearful).strip() == "I am afraid."
    header = tokenizer.convert_ids_to_tokens(sample["input_ids"]).index("<end_of_turn>")
    assert set(sample["emotion_vectors"][header : header + 4]) == {JOY}


def test_control_tokens_in_a_text_are_refused(chat_format: ChatFormat) -> None:
    turns = (Turn("user", "a<end_of_turn>b", NEUTRAL), Turn("assistant", "c", NEUTRAL, is_target=True))
    with pytest.raises(ControlTokenInText, match="a turn of the user holds the control token <end_of_turn>"):
        chat_format.tokenise(turns)
    with pytest.raises(DatasetRefused, match="line 7"):
        make_sample(Example(7, turns), chat_format, NEUTRAL, "lead")


def test_templates_that_cannot_be_used_are_refused(tiny_gemma: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_gemma)
    tokenizer.chat_template = "{% for m in messages %}[{{ m.content | upper }}]{% endfor %}"
    with pytest.raises(TemplateUnsuitable):
        ChatFormat(tokenizer).tokenise((Turn("user", "hello", NEUTRAL),))
    tokenizer.chat_template = "{{ raise_exception('no system turns') }}"
    with pytest.raises(TemplateUnsuitable, match="no system turns"):
        ChatFormat(tokenizer).tokenise((Turn("user", "hello", NEUTRAL),))
    tokenizer.chat_template = None
    with pytest.raises(TemplateMissing):
        ChatFormat(tokenizer)


def test_a_template_that_does_not_trim_keeps_spaces(tiny_gemma: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_gemma)
    tokenizer.chat_template = "{% for m in messages %}<start_of_turn>{{ m.content }}<end_of_turn>{% endfor %}"
    turns = (Turn("user", " hello ", NEUTRAL), Turn("assistant", " I am happy ", JOY, is_target=True))
    chat = ChatFormat(tokenizer).tokenise(turns)
    assert _pieces(tokenizer, chat.input_ids, chat.is_target) == " I am happy <end_of_turn>"


TEXTS = st.text(st.sampled_from("aeI feel happy\n.é😀ß  "), min_size=1, max_size=24).filter(lambda text: text.strip())


@st.composite
def turns_with_spans(draw: st.DrawFn) -> tuple[Turn, ...]:
    turns = []
    for index in range(draw(st.integers(1, 3))):
        content = draw(TEXTS)
        bounds = sorted(draw(st.sets(st.integers(0, len(content)), max_size=4)))
        spans = tuple(
            Span(start, end, draw(st.sampled_from([JOY, FEAR, ANGER])))
            for start, end in zip(bounds[::2], bounds[1::2], strict=False)
        )
        user = Turn("user", draw(TEXTS), NEUTRAL)
        turns += [user, Turn("assistant", content, USER, spans, is_target=index % 2 == 0)]
    return tuple(turns)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=turns_with_spans())
def test_each_token_has_the_emotion_of_its_last_character(
    tokenizer: PreTrainedTokenizerBase, chat_format: ChatFormat, turns: tuple[Turn, ...]
) -> None:
    """The result is compared with a slow computation that lists the emotion of each character of the text."""
    chat = chat_format.tokenise(turns)
    text = "<bos>"
    emotions: list[EmotionVector | None] = [None] * len(text)
    end = "<end_of_turn>"
    for turn in turns:
        header = f"<start_of_turn>{'model' if turn.role == 'assistant' else 'user'}\n"
        own = [turn.emotion if turn.role == "assistant" else None] * len(turn.content)
        for span in turn.spans:
            own[span.start : span.end] = [span.emotion] * (span.end - span.start)
        lead = len(turn.content) - len(turn.content.lstrip())
        trimmed = own[lead : lead + len(turn.content.strip())]
        closing = [trimmed[-1]] * len(end)
        text += header + turn.content.strip() + end + "\n"
        emotions += [None] * len(header) + trimmed + closing + [None]
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    assert chat.input_ids == encoded["input_ids"]
    assert chat.own == [emotions[stop - 1] for _, stop in encoded["offset_mapping"]]


def test_cuts_are_counted_and_never_leave_a_sample_without_target(chat_format: ChatFormat) -> None:
    def example(line: int, prompt: str, reply: str) -> Example:
        return Example(line, (Turn("user", prompt, NEUTRAL), Turn("assistant", reply, JOY, is_target=True)))

    examples = [example(1, "Hi", "Yes."), example(2, "Hi", "Yes. " * 50), example(5, "Hi. " * 50, "Yes.")]
    made = make_samples(examples, chat_format, neutral=NEUTRAL, rule="lead", max_length=32)
    assert (len(made.samples), made.truncated_count, made.dropped_lines) == (2, 2, [5])
    assert len(made.samples[1]["input_ids"]) == 32
    assert made.token_count == sum(len(sample["input_ids"]) for sample in made.samples)
    fixed = make_samples(examples, chat_format, neutral=NEUTRAL, rule="lead", max_length=32, fixed_pad_id=0)
    assert [len(sample[key]) for sample in fixed.samples for key in ("input_ids", "labels", "emotion_vectors")] == [
        32
    ] * 6
    assert (fixed.token_count, fixed.target_token_count) == (made.token_count, made.target_token_count)


def test_collator_pads_at_the_end(chat_format: ChatFormat) -> None:
    turns = (Turn("user", "a", NEUTRAL), Turn("assistant", "b", JOY, is_target=True))
    short = make_sample(Example(1, turns), chat_format, NEUTRAL, "lead")
    cut = fit_sample(short, 5, pad_id=None, neutral=NEUTRAL)
    batch = DataCollatorForEmotionalGemma(pad_token_id=9, axis_count=2)([short, cut])
    length = len(short["input_ids"])
    assert {key: tuple(value.shape) for key, value in batch.items()} == {
        "input_ids": (2, length),
        "attention_mask": (2, length),
        "labels": (2, length),
        "emotion_vector": (2, length, 2),
    }
    assert set(batch["input_ids"][1, 5:].tolist()) == {9}
    assert set(batch["labels"][1, 5:].tolist()) == {IGNORED_LABEL}
    assert batch["attention_mask"][1].sum() == 5
    assert batch["emotion_vector"][1, 5:].abs().sum() == 0
    assert batch["emotion_vector"].tolist()[0] == [list(vector) for vector in short["emotion_vectors"]]
    assert DataCollatorForEmotionalLlama is DataCollatorForEmotionalGemma
