"""The reaper: ends the runs of dead workers, and stores the metrics that they had not reported.

A run's metrics file gets each metric at once, one per line in the order of their seqs; the database gets them in
batches. Where the run's folder is on another machine, or a power cut lost the end of the file, the run that resumes
from a checkpoint completes the curve up to it (worker/runs/missing_metrics.py).
"""

from functools import partial

import structlog
from sqlalchemy.orm import Session

from jobs.files.storage import METRICS_FILE, Storage
from jobs.models import Job
from jobs.runs import claims, reaping
from jobs.runs.metrics import find_last_metric
from worker.resources import Resources
from worker.runs.metric_files import parse_metrics, read_whole_lines

log = structlog.get_logger()


def reap(session: Session, resources: Resources) -> list[str]:
    """End each run whose lease has expired; return the jobs' ids. None are ended while the clock may have jumped."""
    if not resources.clock_watch.is_steady():
        return []
    record = partial(_record_unwritten, resources.storage)
    return reaping.reap(session, max_crashes=resources.settings.max_crashes, on_lost=record)


def reap_earlier_boot(session: Session, resources: Resources) -> None:
    """End the run that the worker's slot had before its machine was restarted."""
    record = partial(_record_unwritten, resources.storage)
    slot = resources.settings.slot
    reaping.reap_earlier_boot(session, slot=slot, boot_id=resources.boot_id, on_lost=record)


def _record_unwritten(storage: Storage, session: Session, job: Job) -> None:
    """Store the metrics that the run has in its file beyond those of the database, under the same seqs.

    The run is ended even if the metrics can't be read.
    """
    try:
        with session.begin_nested():
            _store_lines(session, storage, job.id, job.attempt)
    except Exception:
        log.exception("metrics_not_recovered", job_id=job.id, attempt=job.attempt)


def _store_lines(session: Session, storage: Storage, job_id: str, attempt: int) -> None:
    seq, step = find_last_metric(session, job_id=job_id, attempt=attempt)
    lines = read_whole_lines(storage.get_run_folder(job_id, attempt) / METRICS_FILE)
    if len(lines) <= seq:
        return
    if seq and [metric.step for metric in parse_metrics(lines[seq - 1 : seq])] != [step]:
        # Earlier lines are missing, so the seq of a line is unknown.
        log.warning("metrics_file_differs", job_id=job_id, attempt=attempt, seq=seq)
        return
    found = list(enumerate(parse_metrics(lines[seq:], after_step=step), start=seq + 1))
    if found:
        claims.record_metrics(session, job_id=job_id, attempt=attempt, metrics=found)
        log.info("metrics_recovered", job_id=job_id, attempt=attempt, count=len(found))
