"""The worker's own log, as a process of its own writes it."""

import subprocess
import sys

import pytest

SPEAK = """
import logging, sys, structlog
from jobs.logs import configure_logging
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
