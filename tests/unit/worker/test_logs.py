"""The worker's own log, as a separate process writes it."""

import json
import subprocess
import sys
from unittest.mock import ANY

import pytest

from cli.worker import make_worker_argv
from jobs.settings import Settings

SPEAK = """
import logging, sys, structlog
from jobs.telemetry.logs import configure_logging
configure_logging(sys.argv[1])
structlog.get_logger().info("run_starts", slot="slot-0")
logging.getLogger("celery.worker.consumer").warning("connection lost")
logging.getLogger("celery.app.trace").info("task done")
structlog.get_logger().debug("detail")
"""


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("info", ["run_starts", "connection lost"]),
        ("warning", ["connection lost"]),
        ("debug", ["run_starts", "connection lost", "task done", "detail"]),
    ],
)
def test_each_fact_is_one_line_on_standard_error(level: str, expected: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", SPEAK, level], check=True, capture_output=True, text=True)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == len(expected)
    assert all(words in line for words, line in zip(expected, lines, strict=True))


SPEAK_JSON = """
import logging, structlog, warnings
from jobs.telemetry.logs import configure_logging
configure_logging("info", "json")
log = structlog.get_logger()
with structlog.contextvars.bound_contextvars(job_id="job_1"):
    log.info("run_starts", slot="größer", path=__import__("pathlib").Path("/x"))
    logging.getLogger("celery.worker").warning("lost %s", "Redis\\nnow")
    try:
        secret = "emo_secret"
        raise ValueError("no\\nluck")
    except ValueError:
        log.exception("run_broke")
        logging.getLogger("uvicorn.error").exception("failed")
    warnings.warn("deprecated")
"""


def test_as_json_each_fact_is_an_object_a_line_with_its_job() -> None:
    done = subprocess.run([sys.executable, "-c", SPEAK_JSON], check=True, capture_output=True, text=True)
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(entry["event"], entry["level"]) for entry in entries] == [
        ("run_starts", "info"),
        ("lost Redis\nnow", "warning"),
        ("run_broke", "error"),
        ("failed", "error"),
        (ANY, "warning"),
    ]
    assert "UserWarning: deprecated" in entries[4]["event"]
    assert {entry["job_id"] for entry in entries} == {"job_1"}
    assert all(entry["timestamp"].endswith("Z") for entry in entries)
    assert (entries[0]["slot"], entries[0]["path"]) == ("größer", "/x")
    for entry in entries[2:4]:
        assert "ValueError: no\nluck" in entry["exception"]
    # The source line of the raise is shown, but not the values of variables.
    assert "emo_secret" not in done.stderr


def test_a_worker_that_logs_json_prints_no_banner() -> None:
    argv = make_worker_argv(Settings(log_format="json"), housekeeping=True)
    assert argv[:2] == ["--quiet", "worker"]
    assert make_worker_argv(Settings(), housekeeping=True)[0] == "worker"
