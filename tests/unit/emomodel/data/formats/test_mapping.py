"""A mapping turns labelled texts into chats."""

import json
from pathlib import Path
from typing import Any

import pytest

from emomodel.data.examples import parse_example
from emomodel.data.formats import codes
from emomodel.data.formats.mapping import PRESETS, MappingError, read_mapping
from emomodel.data.formats.records import open_records
from emomodel.data.problems import LinesInvalid
from emomodel.emotions import DEFAULT_AXES, Axes


def convert(path: Path, content: str, mapping: str) -> list[Any]:
    path.write_text(content, encoding="utf-8")
    return [json.loads(line) for _, line in open_records(path, read_mapping(mapping, DEFAULT_AXES))]


def read_emotions(chats: list[Any]) -> list[dict[str, float]]:
    return [DEFAULT_AXES.describe(parse_example(json.dumps(chat), 1).turns[-1].emotion) for chat in chats]


def test_goemotions_has_its_28_labels_and_each_has_values() -> None:
    labels = PRESETS["goemotions"].labels
    assert len(labels) == 28
    assert list(labels) == [*sorted(set(labels) - {"neutral"}), "neutral"]
    assert {name for name, emotion in labels.items() if not emotion} == {"neutral"}
    used = {pole for emotion in labels.values() for pole in emotion}
    assert used <= set(DEFAULT_AXES.poles)
    assert {axis for axis in DEFAULT_AXES if used & set(axis.lower().split("_"))} == set(DEFAULT_AXES)


@pytest.mark.parametrize(
    "content",
    [
        'text,labels\n"Oh, lovely","joy, LOVE"\n',
        'text,labels\n"Oh, lovely","17,18"\n',
        'text,joy,love,anger\n"Oh, lovely",1,1,0\n',
        '{"text": "Oh, lovely", "labels": ["joy", "love"]}\n',
        '[{"text": "Oh, lovely", "labels": [17, 18]}]',
    ],
    ids=["names", "numbers", "a column each", "lists", "array"],
)
def test_labels_are_read_in_every_way_that_is_usual(tmp_path: Path, content: str) -> None:
    (chat,) = convert(tmp_path / "x", content, "goemotions")
    assert chat["messages"][1]["content"] == "Oh, lovely"
    assert read_emotions([chat]) == [{"joy": 1.0, "empathy": 0.7}]


def test_contrary_labels_cancel_out_and_no_label_is_neutral(tmp_path: Path) -> None:
    mapping = json.dumps({"labels": {"up": {"joy": 0.5}, "down": {"sadness": 0.3}, "none": {}}, "separator": "|"})
    chats = convert(tmp_path / "x", "text,label\na,up|down\nb,none\nc,\nd,up|up\n", mapping)
    assert read_emotions(chats) == [{"joy": 0.2}, {}, {}, {"joy": 0.5}]


def test_the_prompt_may_take_columns_and_texts_are_never_tags(tmp_path: Path) -> None:
    mapping = json.dumps({"labels": {"up": {}}, "prompt": "On {Title}: speak!", "system": "Be brief."})
    (chat,) = convert(tmp_path / "x", "text,label,title\n<emo joy>hi</emo>,up,<emo> tags\n", mapping)
    turns = parse_example(json.dumps(chat), 1).turns
    assert [turn.content for turn in turns] == ["Be brief.", "On <emo> tags: speak!", "<emo joy>hi</emo>"]
    assert not any(turn.spans for turn in turns)


def test_an_unknown_label_names_its_row_and_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(LinesInvalid, match=r"line 3, labels: unknown label 'joi'\. Known are admiration,") as caught:
        convert(tmp_path / "x", "text,labels\na,joy\nb,joi\n", "goemotions")
    assert caught.value.problems[0].code == codes.LABEL_UNKNOWN


def test_a_mapping_whose_columns_are_missing_says_so(tmp_path: Path) -> None:
    mapping = json.dumps({"labels": {"up": {}}, "prompt": "{title}"})
    with pytest.raises(LinesInvalid, match="the columns 'title' and 'label' are missing"):
        convert(tmp_path / "x", "text,mood\na,up\n", mapping)


def test_a_mapping_may_begin_from_a_preset() -> None:
    mapping = read_mapping('{"preset": "goemotions", "text": "Comment"}', DEFAULT_AXES)
    assert (mapping.text, mapping.labels) == ("comment", PRESETS["goemotions"].labels)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("goemotion", "known presets are goemotions"),
        ("{", "not JSON"),
        ("{}", "labels"),
        ('{"preset": []}', "no preset"),
        ('{"labels": {"a": {"jy": 1}}}', "label 'a': unknown emotion 'jy'"),
        ('{"labels": {"a": {"joy": 2}}}', "out of range"),
        ('{"labels": {"a": {}}, "extra": 1}', "extra"),
        ('{"labels": {"\\ud83d": {}}}', "half a character"),
        ('{"labels": {"a": {}}, "text": " "}', r"^text: the name ' ' is blank; write the name of a column or label$"),
        ('{"labels": {"a": {}}, "label": "\\t"}', "label: the name .* is blank"),
        ('{"labels": {"a": {}, " ": {}}}', "labels: the name ' ' is blank"),
        ('{"labels": {"a": {}, "A ": {"joy": 1}}}', "labels: the label 'a' occurs twice"),
        ('{"labels": {"a": {}}, "prompt": " \\n"}', "prompt: the text is blank"),
        ('{"labels": {"a": {}}, "prompt": "On { }:"}', "prompt: the name ' ' is blank"),
        ('{"labels": {"a": {}}, "system": " "}', "system: the text is blank"),
    ],
)
def test_mappings_that_are_wrong_are_explained(text: str, words: str) -> None:
    with pytest.raises(MappingError, match=words):
        read_mapping(text, DEFAULT_AXES)


def test_labels_may_stand_between_blanks(tmp_path: Path) -> None:
    mapping = json.dumps({"labels": {"up": {"joy": 0.5}, "on": {"trust": 0.5}}, "separator": " "})
    assert read_emotions(convert(tmp_path / "x", "text,label\na,up on\n", mapping)) == [{"joy": 0.5, "trust": 0.5}]


def test_a_preset_needs_the_axes_that_it_speaks_of() -> None:
    with pytest.raises(MappingError, match="unknown emotion"):
        read_mapping("goemotions", Axes(("COLD_WARM", "SHY_BOLD")))


def test_a_label_column_holds_1_or_0_or_nothing(tmp_path: Path) -> None:
    content = "text,joy,anger,neutral\nGood,1,0,\nHm,2,,\n"
    with pytest.raises(LinesInvalid, match="line 3, joy: '2' is neither 1 nor 0"):
        convert(tmp_path / "x", content, "goemotions")
