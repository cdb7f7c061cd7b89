"""Spares: a training process that was started before a run is known, and that the next run may take."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from emomodel.protocol.progress import PhaseName
from worker.trainers.training_process import TrainingProcess


class Spares(Protocol):
    """Keeps training processes that wait for a request, and gives them to runs."""

    def keep(self, *, is_open: bool) -> None:
        """Start, replace or end the spare, as the state of the slot asks for. Called every few seconds."""
        ...

    def take(self, environment: Mapping[str, str]) -> TrainingProcess | None:
        """Return the spare if it may serve a run with these variables, for the caller to end, or None."""
        ...

    def during_run(self) -> AbstractContextManager[None]:
        """Start no other spare within the block until `note_phase` gets the phase that fits the slot's device."""
        ...

    def note_phase(self, name: PhaseName) -> None: ...

    def close(self) -> None:
        """End the spare, and never start another."""
        ...


class NoSpares:
    """For a worker whose operator wants no spare."""

    def keep(self, *, is_open: bool) -> None: ...

    def take(self, environment: Mapping[str, str]) -> TrainingProcess | None:  # noqa: ARG002  as the protocol names it
        return None

    def during_run(self) -> AbstractContextManager[None]:
        return nullcontext()

    def note_phase(self, name: PhaseName) -> None: ...

    def close(self) -> None: ...


NO_SPARES = NoSpares()
