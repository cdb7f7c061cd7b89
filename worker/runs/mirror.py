"""Mirrors: during a run, what other machines need of its folder is copied to the store that they share."""

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

import structlog

from jobs.errors import StorageUnreachable
from jobs.files.run_copies import FETCHED_COUNT, RunCopies
from jobs.files.storage import LOG_FILE, Storage
from worker.threads import PeriodicThread

log = structlog.get_logger()


class RunMirror:
    """Copies a run's checkpoints and log in its own thread, so that a slow store never delays the run."""

    def __init__(self, storage: Storage, *, job_id: str, attempt: int, period_seconds: float) -> None:
        """The dashboard's log may lag by the period, and a machine's death loses what was not copied yet."""
        self._copies = RunCopies(storage, job_id)
        self._attempt = attempt
        self._log_path = storage.get_run_folder(job_id, attempt) / LOG_FILE
        self._log_bytes = 0
        self._thread = PeriodicThread(self._copy, interval_seconds=period_seconds, name="run-mirror")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.stop()
        # What was written since the last copy: the checkpoint of a stop, and the end of the log.
        self._copy()

    def _copy(self) -> None:
        """Copy what is new. What can't be copied now is copied next time; the training continues."""
        try:
            if self._copies.put_checkpoints(self._attempt) >= FETCHED_COUNT:
                self._copies.delete_checkpoints(self._attempt)
            log_bytes = self._log_path.stat().st_size if self._log_path.exists() else 0
            if log_bytes != self._log_bytes:
                self._copies.put_log(self._attempt)
                self._log_bytes = log_bytes
        except (StorageUnreachable, FileNotFoundError) as error:
            # A checkpoint that is being copied may be deleted for a newer one.
            log.warning("run_not_mirrored", reason=str(error))
        except Exception:
            log.exception("run_not_mirrored")


def open_mirror(
    storage: Storage, *, job_id: str, attempt: int, period_seconds: float
) -> AbstractContextManager[object]:
    """Open the mirror of a run; it does nothing where the machines share the folder itself."""
    if not storage.is_shared:
        return nullcontext()
    return RunMirror(storage, job_id=job_id, attempt=attempt, period_seconds=period_seconds)
