import json
import math
import os
from pathlib import Path

from emomodel.protocol.journal import VARIABLE, FileJournal, NoJournal, open_journal


def test_each_event_is_a_line_that_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    # Two processes write to one file.
    journal, other = open_journal({VARIABLE: str(path)}), open_journal({VARIABLE: str(path)})
    assert isinstance(journal, FileJournal)
    journal.note_start(Path("/runs/job/2/request.json"), Path("/runs/job/2/output"))
    journal.note_step(1, lambda: math.pi / 7)
    other.note_step(7, lambda: float("inf"))
    journal.note_checkpoint(1, Path("/runs/job/2/checkpoints/checkpoint-1"))
    journal.note_end("finished")
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


def test_without_the_variable_nothing_is_noted_and_no_loss_read() -> None:
    journal = open_journal({VARIABLE: ""})
    assert isinstance(journal, NoJournal)
    assert isinstance(open_journal({}), NoJournal)

    def read_loss() -> float:
        raise AssertionError("reading a loss waits for the GPU")

    journal.note_start(Path("request.json"), Path("output"))
    journal.note_step(1, read_loss)
    journal.note_checkpoint(1, Path("checkpoint-1"))
    journal.note_end("finished")
