"""docs/api.md is correct: all of its examples are run in order, by a shell, against a real installation."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.main import create_app
from cli.client import Client
from cli.credentials import Credentials
from cli.stack import Stack
from jobs.settings import Settings
from tests.support.api_guide import (
    GUIDE,
    RUN_SECONDS,
    AnswerSchema,
    Example,
    Execution,
    find_differences,
    find_operation,
    find_text_differences,
    read_examples,
    run_examples,
)
from tests.support.stacks import Installation

REPOSITORY = Path(__file__).parents[2]
# Enough for a training of a few steps.
EXAMPLE_COUNT = 48
# All cases share one start and one long script.
pytestmark = pytest.mark.timeout(2 * RUN_SECONDS)
DOCUMENT: dict[str, Any] = create_app(Settings()).openapi()
OPERATIONS = [f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods]

Run = list[tuple[Example, Execution]]


@contextmanager
def start_installation(data_dir: Path, base_model: Path) -> Iterator[Stack]:
    settings = Settings(
        data_dir=data_dir,
        base_models={"gemma-3-270m": str(base_model)},
        port=0,
        min_free_disk_bytes=0,
        heartbeat_seconds=0.5,
        metric_flush_seconds=0.5,
        trainer_threads=1,
        # No example needs the result of the job that is preempted last, so it may be killed soon.
        stop_grace_seconds=1,
        kill_grace_seconds=1,
    )
    with Stack(settings) as stack, Client(Credentials(url=stack.url, api_key=stack.api_key)) as client:
        yield stack
        Installation(stack, client, dataset_id="").end()


def make_key(stack: Stack) -> str:
    """Make a key of an ordinary team: calls that the guide doesn't mark as the operator's must need no more."""
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    with httpx2.Client(base_url=stack.url, headers=headers) as http:
        http.post("/teams", json={"name": "reds"}).raise_for_status()
        made = http.post("/keys", json={"name": "laptop", "team": "reds"}).raise_for_status()
    secret: str = made.json()["secret"]
    return secret


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_gemma: Path) -> Run:
    """Run all examples; returns each with what it did."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("guide")
    chats = (REPOSITORY / "samples" / "chats.jsonl").read_text().splitlines(keepends=True)
    (folder / "chats.jsonl").write_text("".join(chats[:EXAMPLE_COUNT]))
    examples = read_examples(GUIDE.read_text())
    with start_installation(folder / "data", tiny_gemma) as stack:
        variables = {
            "EMOTUNE_URL": stack.url,
            "EMOTUNE_API_KEY": make_key(stack),
            "OPERATOR_KEY": stack.api_key,
            # `python3` in the examples is the Python that runs this test.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        return list(zip(examples, run_examples(examples, folder=folder, variables=variables), strict=True))


def test_the_examples_call_every_operation_of_the_api_and_no_other(run: Run) -> None:
    called = {find_operation(call, OPERATIONS) for _, done in run for call in done.calls}
    assert called == set(OPERATIONS)


def test_each_example_is_under_the_heading_of_its_call(run: Run) -> None:
    wrong = [
        example.place
        for example, done in run
        if example.operation is not None
        and example.operation not in [find_operation(call, OPERATIONS) for call in done.calls]
    ]
    assert wrong == []


def test_each_example_answers_with_the_status_that_the_guide_shows(run: Run) -> None:
    wrong = [
        f"{example.place}: {done.calls[-1].status}, and the guide shows {example.status}\n{done.output}"
        for example, done in run
        if done.calls and done.calls[-1].status != example.status
    ]
    assert wrong == []


def test_each_answer_has_the_fields_and_types_that_the_guide_shows(run: Run) -> None:
    wrong = [f"{example.place}: {difference}" for example, done in run for difference in compare(example, done)]
    assert wrong == []


def compare(example: Example, done: Execution) -> list[str]:
    if example.kind == "text":
        return find_text_differences(example.answer, done.output)
    if example.kind == "json":
        operation = find_operation(done.calls[-1], OPERATIONS)
        assert operation is not None
        schema = AnswerSchema(DOCUMENT, operation, done.calls[-1].status)
        return find_differences(json.loads(example.answer), json.loads(done.output), schema)
    return []
