"""Collecting garbage: files that no row points at, and what ended runs left. Housekeeping does it every hour."""

import time
from datetime import timedelta

import structlog

from jobs import run_ends, sessions, uploads
from jobs.datasets import find_known_ids
from jobs.service import list_artifacts
from jobs.settings import DAY_SECONDS
from worker.resources import Resources

# An upload takes minutes at most; a file that is older and has no row was left by a process that died.
ABANDONED_SECONDS = DAY_SECONDS

# A run's worker clears its folder itself. This is for workers that died, and looks back so far.
CLEARED_WITHIN = timedelta(seconds=2 * DAY_SECONDS)

log = structlog.get_logger()


def collect_garbage(resources: Resources) -> None:
    """Delete what nobody can reach any more. Each part may be done twice, or by two processes at once."""
    if not resources.may_work():
        # Files might seem to have no row because another release has it elsewhere.
        return
    now = time.time()
    storage = resources.storage
    for path in storage.list_abandoned(ABANDONED_SECONDS, now):
        log.info("abandoned_file_deleted", path=str(path))
        path.unlink(missing_ok=True)
    old_ids = storage.list_dataset_ids(ABANDONED_SECONDS, now)
    with resources.database.read() as session:
        lost_ids = old_ids - find_known_ids(session)
        ended = run_ends.list_ended_runs(session, within=CLEARED_WITHIN)
    _collect_uploads(resources)
    with resources.database.write() as session:
        sessions.delete_expired(session)
    for dataset_id in lost_ids:
        log.info("dataset_without_row_deleted", dataset_id=dataset_id)
        storage.delete_dataset(dataset_id)
    for job_id in dict.fromkeys(job_id for job_id, _ in ended):
        storage.clear_run_folders(job_id)
        _collect_artifacts(resources, job_id)


def _collect_artifacts(resources: Resources, job_id: str) -> None:
    """Files of an ended job that no row names: of a run that was killed, or lost its job, before it could tell."""
    files = resources.storage.list_artifact_files(job_id)
    with resources.database.read() as session:
        files -= {artifact.filename for artifact in list_artifacts(session, job_id=job_id)}
    for filename in files:
        log.info("artifact_without_row_deleted", job_id=job_id, filename=filename)
        resources.storage.delete_artifact(job_id, filename)


def _collect_uploads(resources: Resources) -> None:
    """Uploads past their time, and parts that no upload needs."""
    storage = resources.storage
    with resources.database.write() as session:
        expired_count = uploads.delete_expired(session)
    if expired_count:
        log.info("uploads_expired", count=expired_count)
    # Read before the rows are: what begins between the two is not among them.
    folder_ids = storage.list_upload_ids()
    with resources.database.read() as session:
        lost_ids = folder_ids - uploads.find_unfinished_ids(session)
    for upload_id in lost_ids:
        storage.delete_upload(upload_id)
