"""Spares: where a run may find a training process that has been started before it and waits for a request."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from emomodel.protocol.progress import PhaseName
from worker.trainers.training_process import TrainingProcess


class Spares(Protocol):
    """Where a run may find a process that is ready for it."""

    def keep(self, *, is_open: bool) -> None:
        """Start, replace or end the spare, as the state of the slot asks for. Called every few seconds."""
        ...

    def take(self, environment: Mapping[str, str]) -> TrainingProcess | None:
        """Return the spare if it may serve a run with these variables, for the caller to end, or None."""
        ...

    def beside_run(self) -> AbstractContextManager[None]:
        """While a run lasts, no other spare is started before the phase that `note_phase` waits for."""
        ...

    def note_phase(self, name: PhaseName) -> None: ...

    def close(self) -> None:
        """End the spare, and start none any more."""
        ...


class NoSpares:
    """For a worker whose operator wants no spare."""

    def keep(self, *, is_open: bool) -> None: ...

    def take(self, environment: Mapping[str, str]) -> TrainingProcess | None:  # noqa: ARG002  as the protocol names it
        return None

    def beside_run(self) -> AbstractContextManager[None]:
        return nullcontext()

    def note_phase(self, name: PhaseName) -> None: ...

    def close(self) -> None: ...


NO_SPARES = NoSpares()
