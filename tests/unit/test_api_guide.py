"""docs/api.md, as far as it can be checked without running it, and the checks used by the test that runs it."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from api.main import create_app
from jobs.settings import Settings
from scripts.make_errors_doc import list_api_errors
from tests.support.api_guide import (
    GUIDE,
    AnswerSchema,
    Call,
    find_differences,
    find_operation,
    find_text_differences,
    read_examples,
    run_examples,
)

DOCUMENT: dict[str, Any] = create_app(Settings()).openapi()
TEXT = GUIDE.read_text()
EXAMPLES = read_examples(TEXT)


def test_the_examples_are_plain_shell() -> None:
    script = "\n".join(example.script for example in EXAMPLES)
    done = subprocess.run(["/bin/sh", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_example_that_calls_shows_its_status() -> None:
    silent = [example.place for example in EXAMPLES if "curl" in example.script and example.status is None]
    assert silent == []


def test_every_answer_that_is_shown_is_json() -> None:
    for example in EXAMPLES:
        if example.kind == "json":
            json.loads(example.answer)


def test_every_status_of_an_error_is_explained() -> None:
    explained = set(re.findall(r"^\| (\d{3}) \|", TEXT, re.MULTILINE))
    answered = {
        status
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
        if int(status) >= 400
    }
    assert explained >= answered


def test_the_error_codes_that_the_guide_names_are_real_and_go_with_their_statuses() -> None:
    codes = list_api_errors()
    named = [
        (code, int(status))
        for status, words in re.findall(r"\b([45]\d\d) \(([^)]*)\)", TEXT)
        for code in re.findall(r"`([a-z_]+)`", words)
    ]
    assert len(named) > len(codes) / 3
    assert [(code, status) for code, status in named if codes.get(code, (0, ""))[0] != status] == []


def test_a_status_and_an_answer_belong_to_the_example_before_them() -> None:
    text = "### `GET /a`\n```sh\ncurl a\n```\n`200 OK`\n```json\n{}\n```\n## Else\n```sh\nX=1\n```\n"
    first, second = read_examples(text)
    assert (first.operation, first.line, first.script, first.status, first.answer) == ("GET /a", 2, "curl a", 200, "{}")
    assert (second.operation, second.script, second.status) == (None, "X=1", None)


def test_calls_are_distinguished_by_method_and_path() -> None:
    operations = ["GET /jobs/{job_id}", "GET /jobs:overview", "PATCH /jobs/{job_id}"]
    assert find_operation(Call("GET", 200, "http://h:1/jobs/job_1?x=/y"), operations) == "GET /jobs/{job_id}"
    assert find_operation(Call("GET", 200, "http://h:1/jobs:overview"), operations) == "GET /jobs:overview"
    assert find_operation(Call("PATCH", 200, "http://h:1/jobs/job_1"), operations) == "PATCH /jobs/{job_id}"
    assert find_operation(Call("GET", 200, "http://h:1/jobs/job_1/runs"), operations) is None


@pytest.mark.parametrize(
    ("shown", "real", "found"),
    [
        ({"a": 1, "...": "..."}, {"a": 2.5, "b": None}, []),
        ({"a": 1}, {"b": 1}, ["answer: the guide shows `a`, and the answer has none"]),
        ({"a": "1"}, {"a": 1}, ["answer.a: the guide shows string, and number came"]),
        ({"a": True}, {"a": 1}, ["answer.a: the guide shows boolean, and number came"]),
        ({"a": None}, {"a": 1}, ["answer.a: the guide shows null, and number came"]),
        ([{"a": 1}, "..."], [{"b": 1}, {"a": 3}], []),
        ([{"a": 1}], [{"a": "x"}], ["answer.[].a: the guide shows number, and string came"]),
        ([{"a": 1}], [], ["[]: no items came, and the schema knows no `a`"]),
    ],
)
def test_what_the_guide_shows_and_the_answer_has_not_is_found(shown: Any, real: Any, found: list[str]) -> None:
    assert find_differences(shown, real) == found


def test_the_schema_says_what_may_be_null_and_what_an_empty_list_would_hold() -> None:
    job = AnswerSchema(DOCUMENT, "GET /jobs/{job_id}", 200)
    assert find_differences({"queue_position": 1}, {"queue_position": None}, job) == []
    assert find_differences({"id": "job_"}, {"id": None}, job) != []
    jobs = AnswerSchema(DOCUMENT, "GET /jobs", 200)
    assert find_differences({"items": [{"status": "queued"}]}, {"items": []}, jobs) == []
    assert find_differences({"items": [{"state": "queued"}]}, {"items": []}, jobs) != []


def test_lines_of_text_are_recognised_by_their_beginning_and_events_by_their_data() -> None:
    real = 'event: metric\ndata: {"loss": 1.5}\nid: 1\n\njobs{team="a"} 1\n'
    assert find_text_differences('event: metric\ndata: {"loss": 3}\n\njobs{team="b"} 2', real) == []
    assert find_text_differences("slots 1", real) == ["no line begins with 'slots 1'"]
    assert find_text_differences('event: metric\ndata: {"step": 3}', real) != []


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    examples = read_examples("```sh\nA=1\n```\n```sh\necho $A\nfalse | cat\n```\n```sh\necho 2\n```\n")
    with pytest.raises(AssertionError, match=r"docs/api\.md:4: exit code 1"):
        run_examples(examples, folder=tmp_path, variables={})
