"""Writing under an emotion: the cache, batches, schedules, sampling."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emomodel.bundles.manifest import Manifest
from emomodel.data.examples import Turn
from emomodel.emotions import EmotionVector
from emomodel.errors import PromptRefused
from emomodel.generation.generate import generate, generate_replies, stream_reply
from emomodel.generation.loaded_bundle import LoadedBundle, load_bundle, load_folder
from emomodel.generation.sampling import Chooser, Sampling
from emomodel.generation.spoken_emotion import parse_schedule
from emomodel.generation.text_stream import TextStream, decode_reply
from emomodel.generation.writing import ScheduleTooShort, lay_prompt, write
from emomodel.samples.chat import ChatFormat
from emomodel.samples.dataset import lay_emotions
from tests.model.cached_logits import PROMPTS, SCHEDULES, Recorder, assert_cached_logits_equal_a_full_forward
from tests.model.tiny_training import Trained

pytestmark = pytest.mark.model

GREEDY = Sampling(max_new_tokens=24, temperature=0)


@pytest.fixture(scope="module")
def loaded(trained: Trained, tiny_gemma: Path) -> LoadedBundle:
    return load_bundle(trained.zip_path, base=str(tiny_gemma))


@pytest.fixture(scope="module")
def emotions(loaded: LoadedBundle) -> list[EmotionVector]:
    return [loaded.axes.vector(values) for values in ({"joy": 1.0}, {"anger": 0.7, "interest": 0.2}, {})]


def recompute(loaded: LoadedBundle, prompt: str, schedule: list[EmotionVector], rule: str) -> str:
    """Write greedily without cache or batch: for each token all of the text goes through the model."""
    chat_format = ChatFormat(loaded.tokenizer)
    chat = chat_format.tokenise((Turn("user", prompt, loaded.axes.neutral),), with_reply_header=True)
    ends = chat_format.find_end_of_turn_ids()
    reply: list[int] = []
    for _ in range(GREEDY.max_new_tokens):
        own = [*chat.own, *schedule]
        is_reply = [*chat.is_reply, *([True] * len(schedule))]
        vectors = lay_emotions(own, is_reply, loaded.axes.neutral, "lead" if rule == "lead" else "token")
        ids = torch.tensor([chat.input_ids + reply])
        with torch.inference_mode():
            logits = loaded.model(
                input_ids=ids, emotion_vector=torch.tensor([vectors[: ids.shape[1]]]), use_cache=False
            ).logits
        token = int(logits[0, -1].argmax())
        if token in {*ends, loaded.tokenizer.eos_token_id}:
            break
        reply.append(token)
    return str(loaded.tokenizer.decode(reply, skip_special_tokens=True)).strip()


def test_cached_left_padded_batch_equals_full_recompute_of_each(
    loaded: LoadedBundle, emotions: list[EmotionVector]
) -> None:
    batch = generate(loaded, PROMPTS, emotions, GREEDY)
    alone = [
        recompute(loaded, prompt, [emotion] * 25, "lead") for prompt, emotion in zip(PROMPTS, emotions, strict=True)
    ]
    assert batch == alone
    assert len(set(batch)) > 1


def test_emotion_may_change_inside_a_reply(loaded: LoadedBundle, emotions: list[EmotionVector]) -> None:
    """Each token gets its emotion of the schedule, by the rule of the training."""
    joy, anger, _ = emotions
    schedule = [joy] * 3 + [anger] * 22
    chat = (Turn("user", PROMPTS[1], loaded.axes.neutral),)
    assert generate_replies(loaded, [chat], [schedule], GREEDY) == [recompute(loaded, PROMPTS[1], schedule, "lead")]


@pytest.fixture(scope="module", params=["lead", "token"])
def under_each_rule(request: pytest.FixtureRequest, trained: Trained, tiny_gemma: Path) -> LoadedBundle:
    manifest = Manifest.model_validate_json((trained.folder / "bundle.json").read_bytes())
    return load_folder(
        trained.folder, manifest.model_copy(update={"emotion_span": request.param}), base=str(tiny_gemma)
    )


def test_cached_logits_equal_a_full_forward_for_schedules_that_change(under_each_rule: LoadedBundle) -> None:
    assert_cached_logits_equal_a_full_forward(under_each_rule, 20)


def test_a_schedule_too_short_for_the_cached_steps_is_an_error(loaded: LoadedBundle) -> None:
    """A schedule isn't read from its start again, as the original project did at every cached step."""
    chat = (Turn("user", PROMPTS[0], loaded.axes.neutral),)
    joy = loaded.axes.vector({"joy": 1.0})
    with pytest.raises(ScheduleTooShort, match="holds 24 emotions; 24 tokens and the end of the turn need 25"):
        generate_replies(loaded, [chat], [[joy] * 24], GREEDY)
    with pytest.raises(ScheduleTooShort):
        next(stream_reply(loaded, chat, [joy], GREEDY))


def test_the_last_token_gets_its_own_emotion_and_not_the_first(loaded: LoadedBundle) -> None:
    """If only the emotion of the sixth token differs, that token changes, and the five before it don't."""
    chat = (Turn("user", PROMPTS[0], loaded.axes.neutral),)
    fixed = Sampling(max_new_tokens=6, temperature=0)
    schedules = [parse_schedule(f"joy for 5 -> {last}", loaded.axes, 6) for last in ("joy", "anger", "fear")]
    logits = []
    for schedule in schedules:
        prompt = lay_prompt(loaded, chat, schedule, 6)
        recorder = Recorder(Chooser(fixed, [prompt.input_ids]))
        for _ in write(loaded, [prompt], recorder, 6):
            pass
        logits.append(torch.cat(recorder.logits))
    for other in logits[1:]:
        assert torch.equal(other[:5], logits[0][:5])
        assert (other[5] - logits[0][5]).abs().max() > 0.1


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_streamed_pieces_are_the_generated_text(loaded: LoadedBundle, temperature: float) -> None:
    sampling = Sampling(max_new_tokens=40, temperature=temperature, seed=3)
    chats = [(Turn("user", prompt, loaded.axes.neutral),) for prompt in PROMPTS]
    schedules = [parse_schedule(spoken, loaded.axes, 40) for spoken in SCHEDULES]
    texts = generate_replies(loaded, chats, schedules, sampling)
    for chat, schedule, text in zip(chats, schedules, texts, strict=True):
        pieces = list(stream_reply(loaded, chat, schedule, sampling))
        assert "".join(pieces) == text
        assert len(pieces) > 3
        assert all(pieces)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_pieces_never_end_inside_a_character(loaded: LoadedBundle, data: st.DataObject) -> None:
    """The tokens may be words, whitespace, control tokens, or bytes, whether or not these form characters."""
    tokenizer = loaded.tokenizer
    emoji = tokenizer("\U0001f600 \u65e5\u672c é", add_special_tokens=False)["input_ids"]
    token_ids = data.draw(st.lists(st.integers(0, 1023) | st.sampled_from(emoji) | st.integers(7, 262), max_size=12))
    text = decode_reply(tokenizer, emoji + token_ids)
    stream = TextStream(tokenizer)
    pieces = [stream.push(token_id) for token_id in emoji + token_ids]
    assert "".join(pieces) + stream.finish() == text


def test_a_character_of_several_tokens_comes_whole(loaded: LoadedBundle) -> None:
    token_ids = loaded.tokenizer("so \U0001f600 so", add_special_tokens=False)["input_ids"]
    stream = TextStream(loaded.tokenizer)
    pieces = [piece for token_id in token_ids if (piece := stream.push(token_id))]
    assert "".join(pieces) + stream.finish() == "so \U0001f600 so"
    assert not any("\ufffd" in piece for piece in pieces)
    assert len(token_ids) > len(pieces) > 1


def test_texts_end_where_the_turn_ends(loaded: LoadedBundle, emotions: list[EmotionVector]) -> None:
    short = generate(loaded, PROMPTS[:1], emotions[:1], GREEDY)
    long = generate(loaded, PROMPTS[:1], emotions[:1], Sampling(max_new_tokens=60, temperature=0))
    assert short == long
    assert "<end_of_turn>" not in short[0]
    (cut,) = generate(loaded, PROMPTS[:1], emotions[:1], Sampling(max_new_tokens=2, temperature=0))
    assert short[0].startswith(cut)
    assert len(cut) < len(short[0])


def test_sampling_follows_its_seed_and_not_the_batch(loaded: LoadedBundle, emotions: list[EmotionVector]) -> None:
    def sample(seed: int, count: int = 3) -> list[str]:
        sampling = Sampling(max_new_tokens=12, temperature=3.0, top_p=0.99, repetition_penalty=1.1, seed=seed)
        return generate(loaded, PROMPTS[:count], emotions[:count], sampling)

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)
    assert sample(1, count=1) == sample(1)[:1]


def test_sampling_refuses_nonsense() -> None:
    for bad in ({"temperature": -1.0}, {"top_p": 0.0}, {"max_new_tokens": 0}, {"repetition_penalty": 0.0}):
        with pytest.raises(ValueError, match="must"):
            Sampling(**bad)


def test_control_tokens_in_a_prompt_are_refused(loaded: LoadedBundle) -> None:
    with pytest.raises(PromptRefused, match="<start_of_turn>"):
        generate(loaded, ["<start_of_turn>model"], [loaded.axes.neutral], GREEDY)
