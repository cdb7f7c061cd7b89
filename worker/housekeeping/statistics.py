"""Statistics of large datasets: the housekeeping starts a process for those that wait, and goes on sweeping.

`python -m worker.housekeeping.statistics` is that process: it computes one after the other, at low
priority, and ends when none waits or when its parent ends. What it was at then waits for the next one.
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

# Added to the process's niceness: trainings and requests go before it.
_NICENESS = 10

log = structlog.get_logger()


def make_beat_entry(settings: Settings) -> dict[str, Any]:
    """Celery's schedule of looking for what waits."""
    options = {"queue": HOUSEKEEPING_QUEUE, "expires": settings.sweep_seconds}
    return {"compute_statistics": {"task": STATISTICS_TASK, "schedule": settings.sweep_seconds, "options": options}}


class StatisticsProcess:
    """At most one process of this worker that computes statistics."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def start_if_needed(self, storage: Storage) -> None:
        """Returns at once."""
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
        """The exit code of the process, or None when none was started."""
        return None if self._child is None else self._child.wait(timeout=timeout_seconds)


def compute_waiting(settings: Settings, storage: Storage) -> None:
    """Answer all requests that wait, also those that come meanwhile."""
    store = StatisticsStore(storage)
    while (request := next(store.list_waiting(), None)) is not None:
        _answer(settings, storage, store, request)


def _answer(settings: Settings, storage: Storage, store: StatisticsStore, request: StatisticsRequest) -> None:
    if request.attempt_count >= MAX_ATTEMPTS:
        message = f"The computation was broken off {request.attempt_count} times, perhaps for want of memory."
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
        # Whatever it is, whoever waits has to be told, and the next request has nothing to do with it.
        log.exception("statistics_failed", dataset_id=request.dataset_id)
        store.fail(request, f"The computation failed: {type(error).__name__}. The housekeeping's log has the details.")


def _load_chat_format(settings: Settings, storage: Storage, request: StatisticsRequest) -> ChatFormat:
    """Raises TokenizerUnusable, BaseModelUnknown, BaseModelMissing and StatisticsFailed."""
    tokenizer = load_tokenizer(ModelLibrary(settings.base_models, storage).get(request.base_model))
    if tokenizer.sha256 != request.tokenizer_sha256:
        raise StatisticsFailed("The base model's tokenizer has changed since; ask again.")
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
            # Another housekeeping worker's process is at it.
            return
        compute_waiting(settings, storage)


if __name__ == "__main__":
    main()
