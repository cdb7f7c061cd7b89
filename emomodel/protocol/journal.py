"""The journal: a diagnostic aid for tests that kill processes, written by the training process itself.

When the environment variable EMOMODEL_JOURNAL names a file, the process appends a JSON line to it at its start, each
step, each checkpoint and its end. A line is one write to a file opened for appending, so the lines of several processes
never mix, and what a killed process has done is recorded even if its supervisor was gone.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

VARIABLE = "EMOMODEL_JOURNAL"


class Journal(Protocol):
    """Records what a training process does."""

    def note_start(self, request_path: Path, output_dir: Path) -> None: ...

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None:
        """`read_loss` waits for the GPU, so only a journal that is written calls it."""

    def note_checkpoint(self, step: int, path: Path) -> None: ...

    def note_end(self, kind: str) -> None: ...


class FileJournal:
    """A journal in a file, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def note_start(self, request_path: Path, output_dir: Path) -> None:
        # The attempt's folder is the one that holds the request.
        attempt = request_path.absolute().parent.name
        self._note("start", session=os.getsid(0), output_dir=str(output_dir), attempt=attempt)

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None:
        self._note("step", step=step, loss=read_loss())

    def note_checkpoint(self, step: int, path: Path) -> None:
        self._note("checkpoint", step=step, path=str(path))

    def note_end(self, kind: str) -> None:
        self._note("end", kind=kind)

    def _note(self, event: str, **facts: object) -> None:
        # Python writes a float so that it is read back unchanged.
        line = {"event": event, "pid": os.getpid(), "at": time.monotonic(), **facts}
        # A full disk costs lines of the journal, not the training.
        with suppress(OSError):
            os.write(self._descriptor, (json.dumps(line) + "\n").encode())


class NoJournal:
    """A journal that records nothing."""

    def note_start(self, request_path: Path, output_dir: Path) -> None: ...

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None: ...

    def note_checkpoint(self, step: int, path: Path) -> None: ...

    def note_end(self, kind: str) -> None: ...


def open_journal(environment: Mapping[str, str]) -> Journal:
    """The journal in the file that `environment` names, or one that records nothing."""
    path = environment.get(VARIABLE)
    return FileJournal(Path(path)) if path else NoJournal()
