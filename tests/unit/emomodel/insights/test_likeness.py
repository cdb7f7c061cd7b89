"""Duplicates and near-duplicates in a dataset."""

import random

from emomodel.data.drafts import Span
from emomodel.data.examples import Example, Turn
from emomodel.insights.likeness import NEAR_SHARE, LikenessFinder, make_signature
from emomodel.insights.token_report import LinePair

NEUTRAL, JOY = (0.0, 0.0), (1.0, 0.0)
WORDS = [f"word{index}" for index in range(500)]


def make_example(line: int, text: str, *spans: Span) -> Example:
    return Example(line, (Turn("user", "Tell me.", NEUTRAL), Turn("assistant", text, NEUTRAL, spans, is_target=True)))


def make_text(seed: int, word_count: int = 60) -> list[str]:
    return random.Random(seed).choices(WORDS, k=word_count)  # noqa: S311  no secret


def test_the_same_turns_are_duplicates_and_other_emotions_near_duplicates() -> None:
    finder = LikenessFinder()
    text = " ".join(make_text(1))
    finder.add(make_example(1, text))
    finder.add(make_example(2, "Something else."))
    finder.add(make_example(3, text))
    finder.add(make_example(5, text, Span(0, 5, JOY)))
    assert (finder.duplicates.count, finder.duplicates.pairs) == (1, (LinePair(line=3, like_line=1),))
    assert (finder.near_duplicates.count, finder.near_duplicates.pairs) == (1, (LinePair(line=5, like_line=1),))


def test_texts_with_a_few_words_changed_are_found_and_others_are_not() -> None:
    finder = LikenessFinder()
    near_lines, line = set(), 0
    for seed in range(300):
        words = make_text(seed, 90)
        line += 1
        finder.add(make_example(line, " ".join(words)))
        # One word of ninety is in three shingles, so 94 % of all shingles are shared. With every third word changed,
        # none is.
        words[seed % 90] = "changed"
        line += 1
        near_lines.add(line)
        finder.add(make_example(line, " ".join(words)))
        line += 1
        words[::3] = ["other"] * 30
        finder.add(make_example(line, " ".join(words)))
    assert 0.95 * 300 <= finder.near_duplicates.count <= 300
    assert finder.duplicates.count == 0
    assert {pair.line for pair in finder.near_duplicates.pairs} <= near_lines
    assert len(finder.near_duplicates.pairs) == 10


def test_short_texts_are_no_near_duplicates() -> None:
    finder = LikenessFinder()
    for line, text in enumerate(["Yes, I am.", "Yes, I am!", "yes I am"], start=1):
        finder.add(make_example(line, text))
    assert finder.near_duplicates.count == 0


def test_texts_without_spaces_have_words_too() -> None:
    finder = LikenessFinder()
    finder.add(make_example(1, "今日はとても楽しい一日でした。友達と公園に行きました。"))
    finder.add(make_example(2, "今日はとても楽しい一日でした。友達と公園に行きました!"))
    finder.add(make_example(3, "明日の試験がとても心配で、昨夜はほとんど眠れなかった。"))
    assert finder.near_duplicates.pairs == (LinePair(line=2, like_line=1),)


def test_signatures_agree_in_about_the_share_of_common_shingles() -> None:
    # Two sets of 200 have 150 in common, which are 150 of 250 in all.
    agreeing = 0
    for seed in range(100):
        words = [f"{seed}-{index}" for index in range(250)]
        pair = zip(make_signature(words[:200]), make_signature(words[50:]), strict=True)
        agreeing += sum(one == other for one, other in pair)
    assert abs(agreeing / 3200 - 150 / 250) < 0.03
    assert NEAR_SHARE > 150 / 250


def test_signatures_are_the_same_in_every_process() -> None:
    assert make_signature(["a b c", "b c d"])[:4] == make_signature(["b c d", "a b c"])[:4]
    assert len(set(make_signature(["a b c"]))) == 32
