"""The journal: a file in which a training process notes what it does, for the tests that kill such processes.

When the environment variable EMOMODEL_JOURNAL names a file, the process appends a JSON line to it at its start, at each
step, at each checkpoint and at its end. Each line is one write to a file opened for appending, so the lines of several
processes never mix, and they survive a process that is killed while nobody reads its progress.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from emomodel.protocol.progress import Checkpoint, Failure, ProcessReporter, Progress, Result

VARIABLE = "EMOMODEL_JOURNAL"


class JournalReporter:
    """Passes everything on to another reporter, and notes in a file what the checks of the tests need to know.

    The journal has each step with its exact loss. A Metric can't replace it, since it reports the mean loss of several
    steps and comes too late: a test has to know a step before the training decides whether it stops or saves there.
    """

    def __init__(self, inner: ProcessReporter, path: Path) -> None:
        self._inner = inner
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def note_start(self, request_path: Path, output_dir: Path) -> None:
        # The request is in the folder of its attempt.
        attempt = request_path.absolute().parent.name
        self._note("start", session=os.getsid(0), output_dir=str(output_dir), attempt=attempt)
        self._inner.note_start(request_path, output_dir)

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None:
        self._note("step", step=step, loss=read_loss())
        self._inner.note_step(step, read_loss)

    def report(self, progress: Progress) -> None:
        match progress:
            case Checkpoint():
                self._note("checkpoint", step=progress.step, path=progress.path)
            case Failure():
                self._note("end", kind=progress.code)
            case Result():
                self._note("end", kind="finished")
        self._inner.report(progress)

    def note_end(self, kind: str) -> None:
        self._note("end", kind=kind)
        self._inner.note_end(kind)

    def _note(self, event: str, **facts: object) -> None:
        # Python writes a float so that reading it back gives the same float.
        line = {"event": event, "pid": os.getpid(), "at": time.monotonic(), **facts}
        # A full disk, or a pipe that nobody reads, costs lines of the journal and never the training.
        with suppress(OSError):
            os.write(self._descriptor, (json.dumps(line) + "\n").encode())


def keep_journal(reporter: ProcessReporter, environment: Mapping[str, str]) -> ProcessReporter:
    """Return `reporter` with a journal around it if `environment` asks for one, else `reporter` itself."""
    path = environment.get(VARIABLE)
    return JournalReporter(reporter, Path(path)) if path else reporter
