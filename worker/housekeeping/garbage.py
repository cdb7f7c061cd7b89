"""Garbage collection: deletes what is unreachable, and what has been kept long enough. Runs every hour.

Each part may be done twice, or by two processes at once: the plan says what to delete, and carrying it out checks the
rows again. Rows are deleted before their files, so that no row names a missing file.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from jobs.access import sessions
from jobs.clock import utc_now
from jobs.data import datasets, uploads
from jobs.database.engine import Database
from jobs.errors import DatasetInUse, DatasetNotFound
from jobs.files import leftovers
from jobs.files.storage import Storage
from jobs.runs import retention
from jobs.runs.retention import KeepRules
from worker.housekeeping.garbage_plan import Deletion, Rule, plan_garbage
from worker.resources import Resources

log = structlog.get_logger()


def collect_garbage(resources: Resources) -> None:
    """Make the plan and carry it out."""
    if not resources.may_work():
        # Files might seem to have no row because another release stores it elsewhere.
        return
    database, storage = resources.database, resources.storage
    carry_out(database, storage, plan_garbage(database, storage, KeepRules.of(resources.settings), now=utc_now()))


def carry_out(database: Database, storage: Storage, plan: Sequence[Deletion]) -> list[Deletion]:
    """Delete what the plan lists, except datasets that a job needs by now. Returns what was deleted."""
    done = []
    for deletion in plan:
        try:
            _VERBS[deletion.rule](database, storage, deletion)
        except (DatasetInUse, DatasetNotFound) as error:
            log.info("garbage_kept", rule=deletion.rule, subject=deletion.subject, reason=error.message)
            continue
        log.info(
            "garbage_deleted",
            rule=deletion.rule,
            subject=deletion.subject,
            names=deletion.names,
            size_bytes=deletion.size_bytes,
            row_count=deletion.row_count,
            team=deletion.team,
        )
        done.append(deletion)
    return done


def _delete_half_written(_database: Database, _storage: Storage, deletion: Deletion) -> None:
    Path(deletion.subject).unlink(missing_ok=True)


def _delete_dataset_file(_database: Database, storage: Storage, deletion: Deletion) -> None:
    storage.delete_dataset(deletion.subject)


def _delete_upload(database: Database, storage: Storage, deletion: Deletion) -> None:
    if deletion.rule is Rule.UPLOAD_EXPIRED:
        with database.write() as session:
            uploads.delete_expired(session)
    storage.delete_upload(deletion.subject)


def _delete_sessions(database: Database, _storage: Storage, _deletion: Deletion) -> None:
    with database.write() as session:
        sessions.delete_expired(session)


def _clear_runs(_database: Database, storage: Storage, deletion: Deletion) -> None:
    leftovers.clear_run_folders(storage, deletion.subject)


def _delete_artifact_files(_database: Database, storage: Storage, deletion: Deletion) -> None:
    for filename in deletion.names:
        storage.delete_artifact(deletion.subject, filename)


def _withdraw_artifacts(database: Database, storage: Storage, deletion: Deletion) -> None:
    """Delete artifacts and their rows. A file that is being read is gone when its last reader has closed it."""
    with database.write() as session:
        filenames = retention.withdraw_artifacts(
            session, job_id=deletion.subject, kinds=deletion.names, reason=deletion.reason
        )
    for filename in filenames:
        storage.delete_artifact(deletion.subject, filename)
    if deletion.rule is Rule.KEEP_LOGS:
        leftovers.delete_run_folders(storage, deletion.subject)


def _delete_metrics(database: Database, _storage: Storage, deletion: Deletion) -> None:
    with database.write() as session:
        retention.delete_metrics(session, job_id=deletion.subject, reason=deletion.reason)


def _delete_dataset(database: Database, storage: Storage, deletion: Deletion) -> None:
    """Raises DatasetInUse and DatasetNotFound."""
    with database.write() as session:
        datasets.delete_dataset(session, team_id=deletion.team_id or "", dataset_id=deletion.subject)
    storage.delete_dataset(deletion.subject)


_VERBS: dict[Rule, Callable[[Database, Storage, Deletion], None]] = {
    Rule.HALF_WRITTEN: _delete_half_written,
    Rule.DATASET_WITHOUT_ROW: _delete_dataset_file,
    Rule.UPLOAD_EXPIRED: _delete_upload,
    Rule.UPLOAD_NOT_NEEDED: _delete_upload,
    Rule.SESSION_EXPIRED: _delete_sessions,
    Rule.RUN_LEFTOVERS: _clear_runs,
    Rule.ARTIFACT_WITHOUT_ROW: _delete_artifact_files,
    Rule.KEEP_BUNDLES: _withdraw_artifacts,
    Rule.KEEP_LOGS: _withdraw_artifacts,
    Rule.KEEP_METRICS: _delete_metrics,
    Rule.KEEP_DATASETS: _delete_dataset,
}
