"""Metric files as killed processes and failing disks leave them."""

from pathlib import Path

import pytest

from jobs.runs.metrics import SampledMetric
from tests.unit.jobs.runs.test_claims import make_line
from worker.runs.metric_files import read_metric_file


def make_lines(*steps: int) -> str:
    return "".join(make_line(step).model_dump_json(exclude_none=True) + "\n" for step in steps)


def read_steps(path: Path) -> list[int]:
    return [metric.step for metric in read_metric_file(path)]


@pytest.mark.parametrize(
    ("content", "steps"),
    [
        (make_lines(1, 2), [1, 2]),
        (make_lines(1, 2)[:-1], [1]),
        (make_lines(1, 2) + '{"type":"metric","step":3,', [1, 2]),
        (make_lines(1) + "\0" * 64 + make_lines(2, 3), [1]),
        (make_lines(1) + "\n" + make_lines(2), [1]),
        (make_lines(1, 2, 2, 3), [1, 2]),
        (make_lines(1, 5, 3), [1, 5]),
        ('{"type":"phase","name":"training"}\n', []),
        ("", []),
    ],
    ids=[
        "whole",
        "no line end",
        "half a line",
        "zeros",
        "an empty line",
        "twice",
        "backwards",
        "another line",
        "empty",
    ],
)
def test_a_file_is_read_as_far_as_it_is_whole(tmp_path: Path, content: str, steps: list[int]) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(content)
    assert read_steps(path) == steps


def test_bytes_that_are_no_text_end_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(make_lines(1).encode() + b"\xff\xfe\n")
    assert read_steps(path) == [1]


def test_a_file_that_is_not_there_or_can_not_be_read_has_none(tmp_path: Path) -> None:
    assert read_metric_file(tmp_path / "none.jsonl") == []
    assert read_metric_file(tmp_path) == []


def test_samples_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    sampled = SampledMetric(**make_line(1).model_dump(), gpu_power_watts=70.0)
    path.write_text(sampled.model_dump_json(exclude_none=True) + "\n")
    assert read_metric_file(path) == [sampled]
