"""Writing under an emotion: the cache, batches, schedules, sampling."""

from pathlib import Path

import pytest
import torch

from emomodel.chat import ChatFormat
from emomodel.dataset import lay_emotions
from emomodel.emotions import EmotionVector
from emomodel.errors import PromptRefused
from emomodel.examples import Turn
from emomodel.generate import LoadedBundle, generate, generate_replies, load_bundle
from emomodel.sampling import Sampling
from tests.model.tiny_training import Trained

pytestmark = pytest.mark.model

# Longer than the tiny model's window of 16, so that the sliding layer forgets.
PROMPTS = ["How was the concert?", "Tell me about your day, please. " * 3, "Hi"]
GREEDY = Sampling(max_new_tokens=24, temperature=0)


@pytest.fixture(scope="module")
def loaded(trained: Trained, tiny_gemma: Path) -> LoadedBundle:
    return load_bundle(trained.zip_path, base=str(tiny_gemma))


@pytest.fixture(scope="module")
def emotions(loaded: LoadedBundle) -> list[EmotionVector]:
    return [loaded.axes.vector(values) for values in ({"joy": 1.0}, {"anger": 0.7, "interest": 0.2}, {})]


def recompute(loaded: LoadedBundle, prompt: str, schedule: list[EmotionVector], rule: str) -> str:
    """Greedy writing without cache or batch: the whole text goes through the model for each token."""
    chat_format = ChatFormat(loaded.tokenizer)
    chat = chat_format.tokenise((Turn("user", prompt, loaded.axes.neutral),), with_reply_header=True)
    end = chat_format.find_end_of_turn_id()
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
        if token in {end, loaded.tokenizer.eos_token_id}:
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
    """A schedule reaches the model token by token, by the rule of the training."""
    joy, anger, _ = emotions
    schedule = [joy] * 3 + [anger] * 22
    chat = (Turn("user", PROMPTS[1], loaded.axes.neutral),)
    assert generate_replies(loaded, [chat], [schedule], GREEDY) == [recompute(loaded, PROMPTS[1], schedule, "lead")]


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
