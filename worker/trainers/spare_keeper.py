"""SlotSpares: keeps one spare training process for the slot. The next run takes it, and then another one is started.

docs/decisions/0022-a-spare-trainer.md says why, and when it is started.
"""

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from emomodel.protocol.progress import PhaseName
from jobs.settings import Device
from worker.resources import Resources
from worker.slot.gpu import GpuUnreadable
from worker.slot.lock import SlotLock, get_spare_lock_path, hold_lock
from worker.trainers.environment import make_slot_environment
from worker.trainers.log_tail import LogTail
from worker.trainers.spares import NO_SPARES, Spares
from worker.trainers.training_process import TrainingProcess

SPARE_ARGUMENT = "--spare"

# The phase of a run in which the next spare is started. A run on a GPU needs little of the CPU once it trains. On a CPU
# a second process slows a training to a fraction of its speed (docs/performance.md), so the spare waits for its end.
RENEWAL_PHASES: dict[Device, PhaseName] = {"cuda": "training", "cpu": "saving"}

# The imports take 5 to 30 seconds; the first ones after a reboot, from a slow disk, up to a minute or two.
IMPORT_SECONDS = 300.0

# The pause after a spare has failed, doubled with each further failure until a run has taken a spare.
FIRST_PAUSE_SECONDS = 5.0
LAST_PAUSE_SECONDS = 600.0

# Where packages are installed: a folder of one of these names changes with every installation and removal.
PACKAGE_FOLDERS = ("site-packages", "dist-packages")

Installation = tuple[tuple[str, int], ...]

log = structlog.get_logger()


def make_spares(resources: Resources, trainer_argv: Sequence[str]) -> Spares:
    """Make the slot's spares, if its settings ask for them. `trainer_argv` starts a training process."""
    return SlotSpares(resources, trainer_argv) if resources.settings.spare_trainer else NO_SPARES


@dataclass(frozen=True)
class _Spare:
    process: TrainingProcess
    output: LogTail
    environment: Mapping[str, str]
    installation: Installation
    started_at: float


class SlotSpares:
    """The slot's one spare at a time. Used by two threads: the beacon's, and the one that runs jobs."""

    def __init__(
        self, resources: Resources, trainer_argv: Sequence[str], *, first_pause_seconds: float = FIRST_PAUSE_SECONDS
    ) -> None:
        self._resources = resources
        self._argv = [*trainer_argv, SPARE_ARGUMENT]
        self._first_pause_seconds = first_pause_seconds
        self._turn = threading.RLock()
        self._held = ExitStack()
        self._notes: SlotLock | None = None
        self._spare: _Spare | None = None
        self._is_open = False
        self._is_closed = False
        # Whether there is a run that has not reached its phase in RENEWAL_PHASES.
        self._waits = False
        self._pause_seconds = first_pause_seconds
        self._pause_ends = time.monotonic()

    def keep(self, *, is_open: bool) -> None:
        with self._turn:
            self._is_open = is_open
            self._settle()

    def take(self, environment: Mapping[str, str]) -> TrainingProcess | None:
        with self._turn:
            spare, self._spare = self._spare, None
            if spare is None:
                return None
            if self._has_failed(spare) or self._is_outdated(spare, environment):
                self._end(spare)
                return None
            self._pause_seconds = self._first_pause_seconds
            return spare.process

    @contextmanager
    def during_run(self) -> Iterator[None]:
        with self._turn:
            self._waits = True
        try:
            yield
        finally:
            self._stop_waiting()

    def note_phase(self, name: PhaseName) -> None:
        if name == RENEWAL_PHASES[self._resources.settings.slot_device]:
            self._stop_waiting()

    def close(self) -> None:
        with self._turn:
            self._is_closed = True
            self._settle()
            self._held.close()
            self._notes = None

    def _stop_waiting(self) -> None:
        with self._turn:
            self._waits = False
            self._settle()

    def _settle(self) -> None:
        """End a spare that no run may take, and start one that is missing."""
        spare = self._spare
        if spare is not None and (
            not self._is_wanted() or self._has_failed(spare) or self._is_outdated(spare, spare.environment)
        ):
            self._spare = None
            self._end(spare)
        may_start = self._is_wanted() and not self._waits and time.monotonic() >= self._pause_ends
        if self._spare is None and may_start:
            self._spare = self._start()

    def _is_wanted(self) -> bool:
        is_leaving = self._is_closed or self._resources.drain.is_requested
        return self._is_open and not is_leaving and self._resources.slot_check.blocked_reason is None

    def _has_failed(self, spare: _Spare) -> bool:
        """Whether the spare has ended by itself or its imports take too long. Logs it, and delays the next spare."""
        process = spare.process
        if process.has_ended:
            # After the process was reaped, all that it wrote has been read.
            exit_code = process.close()
            self._pause("spare_ended", pid=process.pid, exit_code=exit_code, output=spare.output.get_last_lines())
            return True
        if not process.is_ready and time.monotonic() - spare.started_at > IMPORT_SECONDS:
            self._pause("spare_hangs", pid=process.pid, output=spare.output.get_last_lines())
            return True
        return False

    def _is_outdated(self, spare: _Spare, environment: Mapping[str, str]) -> bool:
        """Whether a new process would have other packages than the spare, or `environment` has other variables."""
        is_same = spare.environment == environment and spare.installation == read_installation()
        if not is_same:
            log.info("spare_outdated", pid=spare.process.pid)
        return not is_same

    def _start(self) -> _Spare | None:
        resources = self._resources
        try:
            notes = self._hold_notes()
            if notes is None:
                # Two workers run for one slot, which run_next logs.
                return None
            environment, installation, output = make_slot_environment(resources), read_installation(), LogTail()
            process = _start_noted(
                notes, self._argv, folder=resources.settings.data_dir, environment=environment, output=output
            )
        except (OSError, GpuUnreadable) as error:
            self._pause("spare_not_started", reason=str(error))
            return None
        log.info("spare_starts", pid=process.pid)
        return _Spare(process, output, environment, installation, time.monotonic())

    def _hold_notes(self) -> SlotLock | None:
        """The lock of the slot's spare. When it is taken, a spare that outlived its worker is ended."""
        if self._notes is None:
            # An earlier attempt may have found the lock taken.
            self._held.close()
            settings, boot_id = self._resources.settings, self._resources.boot_id
            path = get_spare_lock_path(settings.data_dir, settings.slot, host=settings.host_name)
            self._notes = self._held.enter_context(hold_lock(path, boot_id))
            if self._notes is not None:
                self._notes.end_left_over()
        return self._notes

    def _end(self, spare: _Spare) -> None:
        spare.process.close()
        if self._notes is not None:
            self._notes.forget_trainer()

    def _pause(self, event: str, **facts: object) -> None:
        """Log a failure, and start no spare for a while: with each failure in a row for twice as long."""
        seconds = self._pause_seconds
        self._pause_seconds = min(2 * seconds, LAST_PAUSE_SECONDS)
        self._pause_ends = time.monotonic() + seconds
        log.warning(event, slot=self._resources.settings.slot, next_try_seconds=seconds, **facts)


def _start_noted(
    notes: SlotLock, argv: Sequence[str], *, folder: Path, environment: Mapping[str, str], output: LogTail
) -> TrainingProcess:
    """Start a spare and note it in the lock file. A spare that can't be noted is ended. Raises OSError."""
    process = TrainingProcess(argv, folder=folder, environment=environment, run_log=output)
    try:
        notes.note_trainer(process.pid)
    except OSError:
        # The disk may be full. Nobody would end this process.
        process.close()
        raise
    return process


def read_installation() -> Installation:
    """The folders of installed packages, and when each was changed last: what a process imports depends on them."""
    folders = [entry for entry in map(Path, sys.path) if entry.name in PACKAGE_FOLDERS and entry.is_dir()]
    return tuple((str(folder), folder.stat().st_mtime_ns) for folder in folders)
