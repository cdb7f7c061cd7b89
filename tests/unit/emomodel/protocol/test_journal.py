import io
import json
import math
import os
from pathlib import Path

from emomodel.protocol.journal import VARIABLE, JournalReporter, keep_journal
from emomodel.protocol.progress import Checkpoint, Failure, LineReporter, Phase, Result, parse_progress

CHECKPOINT = Checkpoint(
    step=1, path="/runs/job/2/checkpoints/checkpoint-1", size_bytes=1, seconds=1.0, reason="schedule"
)
RESULT = Result(final_loss=1.0, step_count=1, token_count=1, train_seconds=1.0, peak_memory_bytes=1, peak_host_bytes=1)


def test_each_event_is_a_line_that_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    # Two processes write to the same file.
    stream = io.StringIO()
    journal, other = (keep_journal(LineReporter(stream), {VARIABLE: str(path)}) for _ in range(2))
    assert isinstance(journal, JournalReporter)
    journal.note_start(Path("/runs/job/2/request.json"), Path("/runs/job/2/output"))
    journal.note_step(1, lambda: math.pi / 7)
    other.note_step(7, lambda: float("inf"))
    journal.report(CHECKPOINT)
    journal.report(RESULT)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "step", "step", "checkpoint", "end"]
    assert {line["pid"] for line in lines} == {os.getpid()}
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    start, step, _, checkpoint, end = lines
    assert (start["session"], start["attempt"]) == (os.getsid(0), "2")
    assert start["output_dir"] == "/runs/job/2/output"
    assert (step["step"], step["loss"]) == (1, math.pi / 7)
    assert (checkpoint["step"], checkpoint["path"]) == (1, "/runs/job/2/checkpoints/checkpoint-1")
    assert end["kind"] == "finished"
    # The supervisor reads the same lines as without a journal.
    assert [parse_progress(line) for line in stream.getvalue().splitlines()] == [CHECKPOINT, RESULT]


def test_each_kind_of_end_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = keep_journal(LineReporter(io.StringIO()), {VARIABLE: str(path)})
    journal.report(Phase(name="training"))
    journal.report(Failure(code="disk_full", message=""))
    for kind in ("stopped", "crashed", "orphaned"):
        journal.note_end(kind)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["event"], line["kind"]) for line in lines] == [
        ("end", kind) for kind in ("disk_full", "stopped", "crashed", "orphaned")
    ]


def test_without_the_variable_nothing_is_noted_and_no_loss_read() -> None:
    stream = io.StringIO()
    reporter = LineReporter(stream)
    assert keep_journal(reporter, {VARIABLE: ""}) is reporter
    assert keep_journal(reporter, {}) is reporter

    def read_loss() -> float:
        raise AssertionError("reading a loss waits for the GPU")

    reporter.note_start(Path("request.json"), Path("output"))
    reporter.note_step(1, read_loss)
    reporter.note_end("stopped")
    assert stream.getvalue() == ""
