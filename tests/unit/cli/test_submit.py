"""`emotune submit`, against a real server that imitates the API."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from cli.commands import Submission, describe_estimate, submit_job
from emomodel.config import Preset
from jobs.priorities import PriorityClass

DATASET_ID = "ds_" + "0" * 26


class Api(BaseHTTPRequestHandler):
    """Knows one base model, and records the bodies of the requests for jobs."""

    asked: ClassVar[list[dict[str, Any]]] = []

    def do_GET(self) -> None:
        self._answer({"items": [{"name": "tiny-gemma"}]})

    def do_POST(self) -> None:
        self.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer({"id": "job_1"})

    def _answer(self, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The bodies of the requests for jobs."""
    Api.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("EMOTUNE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("EMOTUNE_API_KEY", "emo_test")
    yield Api.asked
    server.shutdown()
    server.server_close()
    thread.join()


def submit(preset: Preset, *overrides: str) -> None:
    submit_job(Submission(DATASET_ID, "tiny-gemma", preset=preset, overrides=overrides), watch_it=False)


def test_the_preset_goes_out_with_the_changes_and_nothing_else(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    submit("original", "epochs=1", "schedule=linear")
    assert asked == [
        {
            "dataset_id": DATASET_ID,
            "base_model": "tiny-gemma",
            "priority": 0,
            "preset": "original",
            "config": {"epochs": 1, "schedule": "linear"},
        }
    ]
    assert capsys.readouterr().out == "job_1\n"


def test_a_change_that_no_preset_takes_is_refused_before_anything_goes_out(asked: list[dict[str, Any]]) -> None:
    for preset in ("default", "original"):
        with pytest.raises(ValidationError, match="lora_rank"):
            submit(preset, "lora_rank=0")
    assert asked == []


def test_a_validation_dataset_goes_along(asked: list[dict[str, Any]]) -> None:
    other = "ds_" + "1" * 26
    submit_job(Submission(DATASET_ID, "tiny-gemma", validation=other), watch_it=False)
    assert asked[0]["validation_dataset_id"] == other


def test_a_class_and_a_timeout_go_out_where_they_are_given(asked: list[dict[str, Any]]) -> None:
    submit_job(
        Submission(DATASET_ID, "tiny-gemma", priority_class=PriorityClass.LOW, timeout_seconds=60.0), watch_it=False
    )
    assert (asked[0]["priority_class"], asked[0]["timeout_seconds"]) == ("low", 60.0)


def test_an_estimate_is_a_few_lines() -> None:
    found = {
        "step_count": 112,
        "token_count": 52_800,
        "example_count": 330,
        "total_seconds": 220.4,
        "device": "cpu",
        "speed_source": "arithmetic",
        "peak_memory_bytes": 3 * 2**30,
        "queue_position": 2,
        "starts_at": "2026-11-22T15:05:01Z",
        "advice": None,
    }
    assert describe_estimate(found).splitlines() == [
        "112 steps, 52,800 tokens of 330 examples",
        "0:03:40 on cpu (a guess: no similar job has run here)",
        "3.0 GiB of memory",
        "position 2 in the queue, starts about 2026-11-22T15:05 UTC",
    ]
    nowhere = found | {"starts_at": None, "peak_memory_bytes": None, "advice": "Set batch_size: 4."}
    assert describe_estimate(nowhere).splitlines()[2:] == [
        "memory: the base model's sizes are not known",
        "position 2 in the queue, no slot can run it",
        "Set batch_size: 4.",
    ]
