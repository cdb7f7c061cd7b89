"""Statistics of large datasets: housekeeping starts a process for those that wait, and continues sweeping.

`python -m worker.housekeeping.statistics` is that process: it computes one after the other, at low
priority, and ends when none waits or when its parent ends. An unfinished one then waits for the next process.
"""

import fcntl
import os
import subprocess
from typing import Any

import structlog

from emomodel.samples.chat import ChatFormat
from jobs.base_models.library import ModelLibrary
from jobs.data.insights import MAX_ATTEMPTS, StatisticsRequest, StatisticsStore, compute_report, load_tokenizer
from jobs.doorbell import HOUSEKEEPING_QUEUE
from jobs.errors import EmotuneError, StatisticsFailed
from jobs.files.storage import Storage, open_storage
from jobs.python_processes import SAFE_PATH, make_python_argv
from jobs.settings import Settings, load_settings
from jobs.telemetry.logs import configure_logging
from worker.drain import leave_with_parent

STATISTICS_TASK = "emotune.compute_statistics"

# Added to the process's niceness, so that trainings and requests come first.
_NICENESS = 10

log = structlog.get_logger()


def make_beat_entry(settings: Settings) -> dict[str, Any]:
    """Make the entry of Celery's schedule that looks for waiting requests."""
    options = {"queue": HOUSEKEEPING_QUEUE, "expires": settings.sweep_seconds}
    return {"compute_statistics": {"task": STATISTICS_TASK, "schedule": settings.sweep_seconds, "options": options}}


class StatisticsProcess:
    """At most one process of this worker that computes statistics."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def start_if_needed(self, storage: Storage) -> None:
        """Start the process if requests wait and none runs. Returns at once."""
        if self._child is not None:
            if self._child.poll() is None:
                return
            self._child = None
        if StatisticsStore(storage).has_waiting():
            argv = make_python_argv("-m", "worker.housekeeping.statistics")
            self._child = subprocess.Popen(  # noqa: S603  an argv list of ours, no shell
                argv, stdin=subprocess.DEVNULL, env=os.environ | SAFE_PATH
            )

    def wait(self, timeout_seconds: float) -> int | None:
        """Wait for the process; return its exit code, or None if none was started."""
        return None if self._child is None else self._child.wait(timeout=timeout_seconds)


def compute_waiting(settings: Settings, storage: Storage) -> None:
    """Answer all waiting requests, including those that arrive meanwhile."""
    store = StatisticsStore(storage)
    while (request := next(store.list_waiting(), None)) is not None:
        _answer(settings, storage, store, request)


def _answer(settings: Settings, storage: Storage, store: StatisticsStore, request: StatisticsRequest) -> None:
    if request.attempt_count >= MAX_ATTEMPTS:
        message = f"The computation was interrupted {request.attempt_count} times, perhaps because memory ran out."
        store.fail(request, message)
        return
    request = store.note_attempt(request)
    try:
        if store.find(request) is not None:
            store.forget(request)
            return
        chat_format = _load_chat_format(settings, storage, request)
        store.put(request, compute_report(storage, request, chat_format))
        log.info("statistics_computed", dataset_id=request.dataset_id, base_model=request.base_model)
    except EmotuneError as error:
        log.warning("statistics_failed", dataset_id=request.dataset_id, reason=error.message)
        store.fail(request, error.message)
    except Exception as error:
        # Whatever the error is, the caller needs an answer, and the next request is not affected.
        log.exception("statistics_failed", dataset_id=request.dataset_id)
        store.fail(request, f"The computation failed: {type(error).__name__}. The housekeeping's log has the details.")


def _load_chat_format(settings: Settings, storage: Storage, request: StatisticsRequest) -> ChatFormat:
    """Load the base model's chat format.

    Raises TokenizerUnusable, BaseModelUnknown, BaseModelMissing and StatisticsFailed.
    """
    tokenizer = load_tokenizer(ModelLibrary(settings.base_models, storage).get(request.base_model))
    if tokenizer.sha256 != request.tokenizer_sha256:
        raise StatisticsFailed("The base model's tokenizer has changed meanwhile. Request the statistics again.")
    return tokenizer.chat_format


def main() -> None:
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    os.nice(_NICENESS)
    leave_with_parent()
    storage = open_storage(settings)
    lock = storage.root / "swept" / "statistics.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # The process of another housekeeping worker computes them.
            return
        compute_waiting(settings, storage)


if __name__ == "__main__":
    main()
