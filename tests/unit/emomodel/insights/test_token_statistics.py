"""Statistics in the tokens of a tiny tokenizer equal those of the samples that a training would make."""

import json
from pathlib import Path
from typing import Any

from emomodel.data.examples import read_examples
from emomodel.emotions import Axes
from emomodel.insights.token_report import LinePair, TokenReport
from emomodel.insights.token_statistics import compute_statistics
from emomodel.samples.chat import ChatFormat
from emomodel.samples.dataset import count_targets, make_samples

AXES = Axes(("SADNESS_JOY", "ANGER_CALMNESS"))


def make_chat(question: str, reply: str, **keys: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": reply} | keys]}


LINES = [
    make_chat("How was it?", "<emo joy=0.9>I am happy today.</emo> It was fine."),
    make_chat("How was it?", "<emo sadness=0.4>I am sad.</emo>"),
    make_chat("How was it?", "I am happy, " * 40, emotion={"joy": 0.5}),
    make_chat("How was it? " * 20, "Yes."),
    make_chat("How was it?", "a<tiny>b"),
    make_chat("How was it?", "<emo sadness=0.4>I am sad.</emo>"),
]


def compute(tmp_path: Path, chat_format: ChatFormat, max_length: int = 64) -> TokenReport:
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return compute_statistics(path, AXES, chat_format, max_length)


def test_the_counts_are_those_of_the_trainings_samples(tmp_path: Path, chat_format: ChatFormat) -> None:
    report = compute(tmp_path, chat_format)
    good = [example for example in read_examples(tmp_path / "data.jsonl", AXES) if example.line != 5]
    made = make_samples(good, chat_format, neutral=AXES.neutral, rule="lead", max_length=64)
    whole = make_samples(good, chat_format, neutral=AXES.neutral, rule="lead", max_length=100_000)
    assert report.token_count_by_example.total == whole.token_count
    assert report.target_count_by_example.total == sum(map(count_targets, made.samples))
    assert report.truncated.count == made.truncated_count == 2
    assert report.dropped.lines == tuple(made.dropped_lines) == (4,)
    emotions = report.emotions
    learnt = sum(pole.token_count for pole in emotions.poles.values()) + emotions.neutral_token_count
    assert learnt == report.target_count_by_example.total
    assert (report.example_count, report.turn_count) == (6, 12)
    assert report.real_token_share.fixed == round(made.token_count / (4 * 64), 4)


def test_lost_examples_are_reported_with_their_lines(tmp_path: Path, chat_format: ChatFormat) -> None:
    report = compute(tmp_path, chat_format)
    assert report.refused.lines == (5,)
    assert report.duplicates.pairs == (LinePair(line=6, like_line=2),)
    warnings = {warning.code: warning for warning in report.warnings}
    assert list(warnings) == [
        "example_refused",
        "example_dropped",
        "example_truncated",
        "duplicate_example",
        "poles_unbalanced",
        "axis_unused",
    ]
    assert "line 5: a turn of the assistant holds the control token <tiny>" in warnings["example_refused"].message
    assert warnings["example_dropped"].lines == (4,)
    assert warnings["duplicate_example"].lines == (6,)


def test_emotions_are_counted_by_token_and_segment(tmp_path: Path, chat_format: ChatFormat) -> None:
    report = compute(tmp_path, chat_format, max_length=1000)
    joy, sadness = report.emotions.poles["joy"], report.emotions.poles["sadness"]
    assert (joy.segment_count, sadness.segment_count) == (2, 2)
    assert joy.mean_intensity == 0.7
    # These are "It was fine." after a joyful span, and "Yes."
    assert report.emotions.neutral_segment_count == 2
    assert report.emotions.co_occurrence[1] == (0, 2, 0, 0)


def test_a_report_survives_json(tmp_path: Path, chat_format: ChatFormat) -> None:
    report = compute(tmp_path, chat_format)
    assert TokenReport.model_validate_json(report.model_dump_json()) == report


def test_an_empty_dataset_has_a_report(tmp_path: Path, chat_format: ChatFormat) -> None:
    (tmp_path / "data.jsonl").write_text("")
    report = compute_statistics(tmp_path / "data.jsonl", AXES, chat_format, 64)
    assert (report.example_count, report.warnings) == (0, ())
