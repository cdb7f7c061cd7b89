"""samples/chats.jsonl is a good first dataset: valid, short, with all emotions, and the same prompts under several."""

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from emomodel.data.examples import Example, Turn, read_examples
from emomodel.data.validation import DatasetValidator
from emomodel.emotions import DEFAULT_AXES

PATH = Path(__file__).parents[4] / "samples" / "chats.jsonl"

MIN_WORDS, MAX_WORDS = 10, 30
# An average of about 45 tokens a chat keeps the demo short. English has about 5 characters a token in these texts.
MAX_MEAN_CHARACTERS = 150


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return list(read_examples(PATH))


def poles_of(turn: Turn) -> set[str]:
    vectors = [span.emotion for span in turn.spans] or [turn.emotion]
    return {pole for vector in vectors for pole in DEFAULT_AXES.describe(vector)}


def is_mixed(turn: Turn) -> bool:
    """Return whether the emotion changes within the turn."""
    return len(turn.spans) > 1 or any((span.start, span.end) != (0, len(turn.content)) for span in turn.spans)


def test_the_file_passes_without_problem_or_warning() -> None:
    validator = DatasetValidator()
    validator.feed(PATH.read_bytes())
    report = validator.finish()
    assert report.problems == ()
    assert report.warnings == ()
    assert report.ignored_keys == {}
    assert 300 <= report.example_count == report.line_count <= 330


def test_every_pole_occurs_often_enough_and_joy_and_sadness_more_often(examples: list[Example]) -> None:
    counts = Counter(pole for example in examples for pole in poles_of(example.turns[-1]))
    assert set(counts) == set(DEFAULT_AXES.poles)
    assert min(counts.values()) >= 14
    assert min(counts["joy"], counts["sadness"]) >= 40


def test_there_are_neutral_and_mixed_replies_and_all_intensities(examples: list[Example]) -> None:
    replies = [example.turns[-1] for example in examples]
    assert sum(not poles_of(reply) for reply in replies) >= 30
    assert sum(map(is_mixed, replies)) >= 25
    vectors = [vector for reply in replies for vector in (reply.emotion, *(span.emotion for span in reply.spans))]
    intensities = Counter(value for vector in vectors for value in DEFAULT_AXES.describe(vector).values())
    assert set(intensities) == {0.3, 0.6, 1.0}
    assert min(intensities.values()) >= 25


def test_prompts_are_answered_under_several_emotions(examples: list[Example]) -> None:
    poles_by_prompt: dict[str, list[str]] = defaultdict(list)
    for example in examples:
        poles_by_prompt[example.turns[-2].content].append(" ".join(sorted(poles_of(example.turns[-1]))) or "neutral")
    assert len(poles_by_prompt) >= 45
    both = [prompt for prompt, poles in poles_by_prompt.items() if {"joy", "sadness"} <= set(poles)]
    assert len(both) >= 0.9 * len(poles_by_prompt)
    assert all(5 <= len(poles) <= 8 for poles in poles_by_prompt.values())


def test_a_few_chats_have_two_replies_or_a_system_message(examples: list[Example]) -> None:
    targets = Counter(sum(turn.is_target for turn in example.turns) for example in examples)
    assert set(targets) == {1, 2}
    assert targets[2] >= 18
    assert sum(example.turns[0].role == "system" for example in examples) >= 5


def test_replies_are_short_and_no_two_are_alike(examples: list[Example]) -> None:
    replies = [example.turns[-1].content for example in examples]
    assert all(MIN_WORDS <= len(reply.split()) <= MAX_WORDS for reply in replies)
    targets = [turn.content for example in examples for turn in example.turns if turn.is_target]
    assert len({"".join(filter(str.isalpha, target.lower())) for target in targets}) == len(targets)
    characters = sum(len(turn.content) for example in examples for turn in example.turns)
    assert characters / len(examples) < MAX_MEAN_CHARACTERS


def test_emotions_are_shown_rather_than_named(examples: list[Example]) -> None:
    naming = [turn.content for example in examples for turn in example.turns if _names_its_emotion(turn)]
    assert len(naming) <= 0.05 * len(examples)


def _names_its_emotion(turn: Turn) -> bool:
    words = set(turn.content.lower().replace(",", " ").replace(".", " ").split())
    return bool(words & (poles_of(turn) | {"sad", "happy", "joyful", "angry", "afraid", "bored"}))
