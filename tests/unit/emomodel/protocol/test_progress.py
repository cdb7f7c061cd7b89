import io

import pytest

from emomodel.protocol.progress import (
    Checkpoint,
    Failure,
    LineReporter,
    Metric,
    Notice,
    Phase,
    Plan,
    Progress,
    ProgressError,
    Result,
    parse_progress,
)

LINES: list[Progress] = [
    Phase(name="training"),
    Plan(
        total_steps=3,
        example_count=2,
        truncated_count=0,
        target_token_count=9,
        trainable_parameter_count=7,
        device="cpu",
    ),
    Metric(
        step=1,
        total_steps=3,
        epoch=0.5,
        loss=2.5,
        lora_learning_rate=1e-4,
        emotion_learning_rate=1e-3,
        tokens_per_second=100.0,
        token_count=50,
        elapsed_seconds=0.5,
        eta_seconds=1.0,
        memory_bytes=1 << 30,
    ),
    Notice(code="examples_truncated", message="two\nlines"),
    Checkpoint(step=2, path="/data/checkpoint-2", size_bytes=1 << 20, seconds=0.25, reason="request"),
    Result(
        final_loss=1.5,
        step_count=3,
        token_count=150,
        train_seconds=1.5,
        peak_memory_bytes=1 << 30,
        peak_gpu_bytes=1 << 30,
        peak_host_bytes=1 << 31,
    ),
    Failure(code="disk_full", message="Gürtel"),
    Failure(code="disk_full", message="", peak_host_bytes=1 << 31),
]


def test_each_line_is_read_back_as_it_was_reported() -> None:
    stream = io.StringIO()
    reporter = LineReporter(stream)
    for line in LINES:
        reporter.report(line)
    written = stream.getvalue().splitlines()
    assert [parse_progress(line) for line in written] == LINES
    assert "grad_norm" not in written[2]


@pytest.mark.parametrize(
    "line", ["", "hello", "{}", '{"type": "phase"}', '{"type": "phase", "name": "resting"}', "[1]"]
)
def test_what_is_no_progress_is_refused(line: str) -> None:
    with pytest.raises(ProgressError):
        parse_progress(line)
