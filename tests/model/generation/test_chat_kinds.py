"""A training and its bundle with the chat templates of today's models: the bundle writes after the text it learned."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emomodel.bundles.reference_prompts import read_reference
from emomodel.bundles.tolerance import choose_tolerance
from emomodel.data.examples import Turn, read_examples
from emomodel.evaluation.reference import check_reference
from emomodel.evaluation.verification import as_asked
from emomodel.generation.generate import generate_replies
from emomodel.generation.loaded_bundle import LoadedBundle, load_bundle
from emomodel.generation.sampling import Sampling
from emomodel.generation.writing import lay_prompt
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import Metric, Notice
from emomodel.samples.chat import ChatFormat
from emomodel.samples.dataset import make_sample
from emomodel.training.train import run_training
from tests.model.tiny_training import QUESTIONS, WORDS, ListReporter, make_request
from tests.support.chat_templates import CHAT_KINDS
from tests.support.tiny_gemma import make_tiny_model
from tests.support.tiny_tokenizer import NAMED_TOKENS, write_tiny_tokenizer

pytestmark = pytest.mark.model

# Those that write a reply's header in several ways, a date, two ends of replies, or tokens that take in spaces.
KINDS = ["Gemma 4 26B-A4B, 31B", "Qwen3", "Llama 3", "Mistral 7B", "Phi-3", "gpt-oss"]
GREEDY = Sampling(max_new_tokens=60, temperature=0)
SECOND_QUESTION = "And you?"


@dataclass(frozen=True)
class Learned:
    data: Path
    loaded: LoadedBundle
    folder: Path
    reporter: ListReporter


def make_chats() -> list[dict[str, Any]]:
    """Chats of two replies each, whose feeling only the emotion shows."""
    lines = []
    for index in range(36):
        word, pole = WORDS[index % 5]
        reply = f"<emo {pole}=0.9>I feel {word} today.</emo>"
        second = f"<emo {pole}=0.9>Yes, {word}.</emo>"
        turns = [("user", QUESTIONS[index % 3]), ("assistant", reply), ("user", SECOND_QUESTION), ("assistant", second)]
        lines.append({"messages": [{"role": role, "content": content} for role, content in turns]})
    return lines


@pytest.fixture(scope="module", params=KINDS)
def learned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    kind = CHAT_KINDS[request.param]
    folder = tmp_path_factory.mktemp("kind")
    base = write_tiny_tokenizer(
        folder / "base", turn_tokens=kind.control_tokens, template=kind.template, strips=kind.strips
    )
    # Only the tokenizer's own end of a text is known to model and tokenizer, not what ends a turn.
    eos_id = list(NAMED_TOKENS).index("eos_token")
    make_tiny_model(eos_id).save_pretrained(base)
    job = make_request(folder, base, lines=make_chats(), epochs=16, max_length=256)
    reporter = ListReporter()
    run_training(job, reporter, RunRequests())
    return Learned(folder / "data.jsonl", load_bundle(job.output_dir, base=str(base)), job.output_dir, reporter)


def test_it_learns_with_the_tokens_of_the_statistics(learned: Learned) -> None:
    losses = [line.loss for line in learned.reporter.progress if isinstance(line, Metric)]
    assert losses[-1] < losses[0] / 3
    assert [line for line in learned.reporter.progress if isinstance(line, Notice)] == []


def test_each_prompt_is_the_beginning_of_a_trained_sample(learned: Learned) -> None:
    loaded = learned.loaded
    example = next(read_examples(learned.data, loaded.axes))
    sample = make_sample(example, ChatFormat(loaded.tokenizer), loaded.axes.neutral, "lead")
    for end in (1, 3):
        schedule = [loaded.axes.neutral] * (GREEDY.max_new_tokens + 1)
        prompt = lay_prompt(loaded, example.turns[:end], schedule, GREEDY.max_new_tokens)
        assert prompt.input_ids == sample["input_ids"][: len(prompt.input_ids)]
        assert sample["labels"][len(prompt.input_ids)] == sample["input_ids"][len(prompt.input_ids)]


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_reply_ends_where_the_trained_ones_end(learned: Learned, question: str) -> None:
    loaded = learned.loaded
    joy, sadness = loaded.axes.vector({"joy": 0.9}), loaded.axes.vector({"sadness": 0.9})
    first = (Turn("user", question, loaded.axes.neutral),)
    replies = generate_replies(
        loaded, [first] * 2, [[each] * (GREEDY.max_new_tokens + 1) for each in (joy, sadness)], GREEDY
    )
    assert replies == ["I feel happy today.", "I feel sad today."]
    second = (*first, Turn("assistant", replies[0], joy), Turn("user", SECOND_QUESTION, loaded.axes.neutral))
    assert generate_replies(loaded, [second], [[joy] * (GREEDY.max_new_tokens + 1)], GREEDY) == ["Yes, happy."]


def test_the_reference_answers_hold(learned: Learned) -> None:
    """With a template that shows the date, too."""
    reference = read_reference(learned.folder, learned.loaded.manifest)
    assert reference is not None
    tolerance = choose_tolerance(reference.precision, reference.precision)
    checks = list(check_reference(as_asked(learned.loaded), reference, tolerance))
    assert checks
    assert all(check.has_passed for check in checks)
