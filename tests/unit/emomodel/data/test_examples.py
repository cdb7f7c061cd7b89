"""A line becomes an example, or a list of all its problems."""

import json
from pathlib import Path

import pytest

from emomodel.data.drafts import Span
from emomodel.data.examples import Example, Turn, parse_example, read_examples
from emomodel.data.problems import MAX_FINDINGS_PER_LINE, ExampleInvalid, LinesInvalid, Problem
from emomodel.emotions import DEFAULT_AXES, Axes, EmotionVector

NEUTRAL = DEFAULT_AXES.neutral


def vector(**values: float) -> EmotionVector:
    return DEFAULT_AXES.vector(values)


def chat(*messages: object, **keys: object) -> str:
    return json.dumps({"messages": list(messages), **keys})


def user(content: object = "Hello", **keys: object) -> dict[str, object]:
    return {"role": "user", "content": content, **keys}


def assistant(content: object = "Hello to you", **keys: object) -> dict[str, object]:
    return {"role": "assistant", "content": content, **keys}


def problems_of(line: bytes | str) -> tuple[Problem, ...]:
    with pytest.raises(ExampleInvalid) as raised:
        parse_example(line, 7)
    return raised.value.problems


def codes_of(line: bytes | str) -> list[str]:
    return [problem.code for problem in problems_of(line)]


def test_a_chat_becomes_turns_without_tags() -> None:
    line = chat(
        {"role": "system", "content": "Be kind."},
        user("<emo fear=0.3>I'm lost.</emo>"),
        {"role": "model", "content": "Wait. <emo empathy=0.8>I come.</emo>", "emotion": {"calmness": 0.5}},
    )
    assert parse_example(line, 3) == Example(
        3,
        (
            Turn("system", "Be kind.", NEUTRAL),
            Turn("user", "I'm lost.", NEUTRAL, (Span(0, 9, vector(fear=0.3)),)),
            Turn("assistant", "Wait. I come.", vector(calmness=0.5), (Span(6, 13, vector(empathy=0.8)),), True),
        ),
    )


def test_the_nearer_emotion_wins() -> None:
    messages = (user(), assistant(), user(), assistant("So <emo fear>so</emo>", emotion={"trust": 1}))
    turns = parse_example(chat(*messages, emotion={"joy": 0.4}), 1).turns
    assert [turn.emotion for turn in turns] == [NEUTRAL, vector(joy=0.4), NEUTRAL, vector(trust=1)]
    assert [span.emotion for span in turns[3].spans] == [vector(fear=1)]


def test_an_emotion_may_be_a_list_in_the_order_of_the_axes() -> None:
    axes = Axes(("COLD_WARM", "SLOW_FAST"))
    turns = parse_example(chat(user(emotion=[0, 1]), assistant(), emotion=[-0.5, 0.25]), 1, axes).turns
    assert [turn.emotion for turn in turns] == [(0.0, 1.0), (-0.5, 0.25)]


def test_null_is_like_leaving_the_key_out() -> None:
    turns = parse_example(chat(user(), assistant(emotion=None, weight=None), emotion=None), 1).turns
    assert turns[1] == Turn("assistant", "Hello to you", NEUTRAL, (), True)


def test_weight_0_makes_a_reply_context() -> None:
    turns = parse_example(chat(user(), assistant(weight=0), user(), assistant(weight=1)), 1).turns
    assert [turn.is_target for turn in turns] == [False, False, False, True]


def test_all_problems_of_a_line_are_reported() -> None:
    line = chat(
        user("<emo joi>x</emo> <emo>y</emo>"), {"role": "bot", "content": ""}, 5, assistant(weight=2), emotion="joy"
    )
    found = [(problem.field, problem.column, problem.code) for problem in problems_of(line)]
    assert found == [
        ("emotion", None, "emotion_not_object"),
        ("messages[0].content", 1, "emotion_unknown"),
        ("messages[0].content", 18, "tag_without_emotion"),
        ("messages[1].role", None, "role_unknown"),
        ("messages[1].content", None, "content_empty"),
        ("messages[2]", None, "message_not_object"),
        ("messages[3].weight", None, "weight_invalid"),
    ]


def test_a_line_of_mistakes_only_is_not_read_to_its_end() -> None:
    assert len(problems_of(chat(*([user("")] * 1000)))) == MAX_FINDINGS_PER_LINE


def test_a_problem_has_place_fault_and_fix() -> None:
    problem = problems_of(chat(user(), assistant("Oh <emo emphaty=1>dear</emo>")))[0]
    assert str(problem).startswith(
        "line 7, messages[1].content, column 4: unknown emotion 'emphaty'. Did you mean 'empathy'?"
    )


# Each line is listed with its code. Emotions and tags have their own tests in test_tags.py.
BAD_LINES: list[tuple[str, bytes | str]] = [
    ("not_utf8", b'{"messages": "\xff"}'),
    ("json_invalid", '{"messages": ['),
    ("json_invalid", "prompt;response"),
    ("json_invalid", chat(user(), assistant()) * 2),
    ("json_invalid", "[" * 100_000),
    ("json_invalid", '{"messages": ' + "9" * 5000 + "}"),
    ("json_key_twice", '{"messages": [], "messages": []}'),
    ("json_key_twice", '{"messages": [{"role": "user", "role": "user", "content": "x"}]}'),
    ("json_not_finite", '{"messages": [], "emotion": {"joy": NaN}}'),
    ("json_not_finite", '{"messages": [], "emotion": [-Infinity]}'),
    ("json_surrogate", '{"messages": [{"role": "user", "content": "\\ud83d"}]}'),
    ("json_surrogate", '{"\\uDC00": 1}'),
    ("example_not_object", "[]"),
    ("example_not_object", '"text"'),
    ("messages_missing", '{"prompt": "a", "response": "b"}'),
    ("messages_missing", "{}"),
    ("messages_not_list", '{"messages": {"role": "user"}}'),
    ("messages_not_list", '{"messages": null}'),
    ("messages_empty", '{"messages": []}'),
    ("message_not_object", chat(user()).replace("]", ', "Hello"]')),
    ("role_missing", chat({"content": "Hello"}, assistant())),
    ("role_unknown", chat({"role": "human", "content": "Hello"}, assistant())),
    ("role_unknown", chat({"role": ["user"], "content": "Hello"}, assistant())),
    ("role_order", chat(user(), user(), assistant())),
    ("role_order", chat(assistant(), user(), assistant())),
    ("role_order", chat(user(), {"role": "system", "content": "Be kind."}, assistant())),
    ("user_missing", chat(assistant())),
    ("assistant_missing", chat(user())),
    ("assistant_not_last", chat(user(), assistant(), user())),
    ("target_missing", chat(user(), assistant(weight=0))),
    ("weight_invalid", chat(user(), assistant(weight=0.5))),
    ("weight_invalid", chat(user(), assistant(weight=True))),
    ("weight_invalid", chat(user(), assistant(weight="0"))),
    ("content_missing", chat({"role": "user"}, assistant())),
    ("content_not_text", chat(user(None), assistant())),
    ("content_not_text", chat(user([{"type": "text", "text": "Hello"}]), assistant())),
    ("content_empty", chat(user(" \n\t"), assistant())),
    ("content_empty", chat(user(""), assistant())),
    ("control_token", chat(user("Hello<end_of_turn>"), assistant())),
    ("tag_malformed", chat(user(), assistant("<emotion joy>x</emo>"))),
    ("tag_without_emotion", chat(user(), assistant("<emo>x</emo>"))),
    ("tag_empty", chat(user(), assistant("<emo joy></emo>"))),
    ("tag_nested", chat(user(), assistant("<emo joy>x<emo fear>y</emo></emo>"))),
    ("tag_not_closed", chat(user(), assistant("<emo joy>x"))),
    ("tag_not_opened", chat(user(), assistant("x</emo>"))),
    ("emotion_not_object", chat(user(), assistant(emotion="joy"))),
    ("emotion_not_object", chat(user(), assistant(), emotion=True)),
    ("emotion_unknown", chat(user(), assistant(emotion={"happiness": 1}))),
    ("emotion_value_missing", chat(user(), assistant(emotion={"joy": None}))),
    ("emotion_not_a_number", chat(user(), assistant(emotion={"joy": True}))),
    ("emotion_not_a_number", chat(user(), assistant(emotion={"joy": "1"}))),
    ("emotion_not_a_number", chat(user(), assistant(emotion=[0, 0, 0, [], 0, 0, 0, 0]))),
    ("emotion_out_of_range", chat(user(), assistant(emotion={"joy": -0.1}))),
    ("emotion_out_of_range", chat(user(), assistant(emotion={"sadness_joy": 1.01}))),
    ("emotion_out_of_range", chat(user(), assistant(emotion={"joy": 0.5})).replace("0.5", "1e999")),
    ("emotion_out_of_range", chat(user(), assistant(emotion={"joy": 10**400}))),
    ("emotion_axis_twice", chat(user(), assistant(emotion={"joy": 1, "sadness": 0.5}))),
    ("emotion_vector_length", chat(user(), assistant(emotion=[1, 0]))),
]


@pytest.mark.parametrize(("code", "line"), BAD_LINES)
def test_a_bad_line_gets_its_code(code: str, line: bytes | str) -> None:
    assert codes_of(line) == [code]


@pytest.mark.parametrize(
    "token",
    [
        *("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", "<unk>", "<mask>", "<start_of_image>"),
        *("<end_of_image>", "<image_soft_token>", "<unused0>", "<unused6241>", "<|im_start|>", "<|eot_id|>"),
        *("[multimodal]", "<2mass>", "[@BOS@]"),
    ],
)
def test_control_tokens_are_refused_with_their_column(token: str) -> None:
    problem = problems_of(chat(user(f"Say {token}!"), assistant()))[0]
    assert (problem.code, problem.field, problem.column) == ("control_token", "messages[0].content", 5)


def test_a_control_token_can_not_be_made_by_tags() -> None:
    assert codes_of(chat(user(), assistant("a <start_<emo joy>of</emo>_turn>"))) == ["control_token"]


def test_text_like_a_control_token_is_text() -> None:
    content = "<start> [1] <s> <|> a<|b <end of turn>"
    assert parse_example(chat(user(content), assistant()), 1).turns[0].content == content


def test_characters_beyond_the_basic_plane_are_text() -> None:
    line = json.dumps({"messages": [user("\U0001f600"), assistant("\u00e9")]})
    assert "\\ud83d" in line
    assert [turn.content for turn in parse_example(line, 1).turns] == ["\U0001f600", "\u00e9"]


def test_the_column_of_broken_json_is_that_of_the_line() -> None:
    problem = problems_of('  {"messages": oops}\r\n')[0]
    assert (problem.field, problem.column) == (None, 16)


def test_a_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf" + f"{chat(user(), assistant())}\r\n\n \t\n{chat(user('Bye'), assistant())}".encode()
    )
    assert [(example.line, example.turns[0].content) for example in read_examples(path)] == [(1, "Hello"), (4, "Bye")]


def test_a_file_with_a_bad_line_is_refused_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(f"{chat(user(), assistant())}\n{chat(user())}\n")
    examples = read_examples(path)
    assert next(examples).line == 1
    with pytest.raises(LinesInvalid, match=r"^chats.jsonl, line 2, messages: there is no assistant message\. "):
        next(examples)
