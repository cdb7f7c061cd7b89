"""The journal: a diagnostic aid for tests that kill things, kept by the training process itself.

When the environment variable EMOMODEL_JOURNAL names a file, the process appends a JSON line to it at its start, each
step, each checkpoint and its end. A line is one write to a file opened for appending, so the lines of several processes
never mix, and what a killed process has done is there though nobody was listening to it any more.
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
    """What a training process notes."""

    def note_start(self, request_path: Path, output_dir: Path) -> None: ...

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None:
        """`read_loss` waits for the GPU, so it is called for a journal that is kept only."""

    def note_checkpoint(self, step: int, path: Path) -> None: ...

    def note_end(self, kind: str) -> None: ...


class FileJournal:
    """Appends to a file."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def note_start(self, request_path: Path, output_dir: Path) -> None:
        # The attempt's folder is the one that the request lies in.
        attempt = request_path.absolute().parent.name
        self._note("start", session=os.getsid(0), output_dir=str(output_dir), attempt=attempt)

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None:
        self._note("step", step=step, loss=read_loss())

    def note_checkpoint(self, step: int, path: Path) -> None:
        self._note("checkpoint", step=step, path=str(path))

    def note_end(self, kind: str) -> None:
        self._note("end", kind=kind)

    def _note(self, event: str, **facts: object) -> None:
        # Python writes a float so that it is read back as the same.
        line = {"event": event, "pid": os.getpid(), "at": time.monotonic(), **facts}
        # A disk that is full costs lines of the journal, and not the training.
        with suppress(OSError):
            os.write(self._descriptor, (json.dumps(line) + "\n").encode())


class NoJournal:
    """Notes nothing."""

    def note_start(self, request_path: Path, output_dir: Path) -> None: ...

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None: ...

    def note_checkpoint(self, step: int, path: Path) -> None: ...

    def note_end(self, kind: str) -> None: ...


def open_journal(environment: Mapping[str, str]) -> Journal:
    """The journal that the environment asks for."""
    path = environment.get(VARIABLE)
    return FileJournal(Path(path)) if path else NoJournal()
