import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomodel.data.examples import Example, Turn
from emomodel.data.splitting import split_examples
from emomodel.emotions import DEFAULT_AXES

NEUTRAL = DEFAULT_AXES.neutral
JOY = DEFAULT_AXES.vector({"joy": 1.0})


def make(line: int, text: str, emotion: tuple[float, ...] = NEUTRAL) -> Example:
    return Example(line, (Turn("user", "How?", NEUTRAL), Turn("assistant", text, emotion, is_target=True)))


def texts(examples: list[Example]) -> list[str]:
    return [example.turns[-1].content for example in examples]


def test_about_the_share_is_held_out_and_all_keep_their_order() -> None:
    split = split_examples((make(line, f"Reply {line}.") for line in range(2000)), held_out_share=0.1)
    assert len(split.held_out) == pytest.approx(200, abs=45)
    for side in (split.training, split.held_out):
        assert [example.line for example in side] == sorted(example.line for example in side)
    assert len(split.training) + len(split.held_out) == 2000


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_an_example_keeps_its_side_wherever_it_stands(contents: list[str], shuffler: random.Random) -> None:
    shuffled = list(contents)
    shuffler.shuffle(shuffled)
    before, after = (
        split_examples((make(line, text) for line, text in enumerate(order)), held_out_share=0.3)
        for order in (contents, [*shuffled, "one more"])
    )
    assert set(texts(before.held_out)) <= set(texts(after.held_out))
    assert set(texts(before.training)) <= set(texts(after.training))
    # Equal examples are always on the same side.
    assert not set(texts(after.held_out)) & set(texts(after.training))


def test_nothing_is_held_out_unless_asked_and_half_can_be() -> None:
    examples = [make(line, f"Reply {line}.") for line in range(100)]
    assert split_examples(examples, held_out_share=0.0).held_out == []
    assert 25 < len(split_examples(examples, held_out_share=0.5).held_out) < 75


def test_the_emotion_is_part_of_the_content() -> None:
    sides = [
        bool(split_examples([make(1, f"Reply {index}.", emotion)], held_out_share=0.5).held_out)
        for index in range(40)
        for emotion in (NEUTRAL, JOY)
    ]
    assert sides[::2] != sides[1::2]


def test_a_limit_takes_some_of_all_over_the_file_and_a_larger_one_only_adds() -> None:
    examples = [make(line, f"Reply {line}.") for line in range(500)]
    few, more = (split_examples(examples, held_out_share=0.0, limit=limit).training for limit in (50, 80))
    assert (len(few), len(more)) == (50, 80)
    assert {example.line for example in few} < {example.line for example in more}
    assert [example.line for example in few] == sorted(example.line for example in few)
    assert few[-1].line > 400
    assert split_examples(examples, held_out_share=0.0, limit=1000).training == examples


def test_the_limit_is_of_what_is_trained_on() -> None:
    examples = [make(line, f"Reply {line}.") for line in range(300)]
    split = split_examples(examples, held_out_share=0.2, limit=100)
    assert len(split.training) == 100
    assert split.held_out == split_examples(examples, held_out_share=0.2).held_out
