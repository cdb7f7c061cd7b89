"""The plan of a garbage collection: what to delete, why, and how many bytes that frees. Planning changes nothing."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.orm import Session

from jobs.access import sessions
from jobs.data import uploads
from jobs.data.datasets import find_known_ids
from jobs.database.engine import Database
from jobs.files import leftovers
from jobs.files.keys import make_dataset_key
from jobs.files.storage import Storage
from jobs.files.stored_files import list_files
from jobs.records import list_artifacts
from jobs.runs import ends as run_ends
from jobs.runs import retention
from jobs.runs.retention import Keeping, KeepRules, describe_seconds
from jobs.settings import DAY_SECONDS

# An upload takes minutes at most: an older file without a row was left by a process that died.
ABANDONED_SECONDS = DAY_SECONDS

# A run's worker clears its folder itself. For workers that died, ended runs of this time are looked at.
CLEARED_WITHIN = timedelta(seconds=2 * DAY_SECONDS)


class Rule(StrEnum):
    """The rule by which something is deleted. The last four are set by the operator. The values never change."""

    HALF_WRITTEN = "half_written"
    DATASET_WITHOUT_ROW = "dataset_without_row"
    UPLOAD_EXPIRED = "upload_expired"
    UPLOAD_NOT_NEEDED = "upload_not_needed"
    SESSION_EXPIRED = "session_expired"
    RUN_LEFTOVERS = "run_leftovers"
    ARTIFACT_WITHOUT_ROW = "artifact_without_row"
    KEEP_BUNDLES = "keep_bundles"
    KEEP_LOGS = "keep_logs"
    KEEP_METRICS = "keep_metrics"
    KEEP_DATASETS = "keep_datasets"


@dataclass(frozen=True)
class Deletion:
    """One thing to delete.

    `subject` is the id of the job, dataset or upload, or a path; `names` the parts of it to delete; `size_bytes` the
    size of the files, `row_count` the number of rows; `team` the name of the team that owns it, if any.
    """

    rule: Rule
    subject: str
    reason: str
    size_bytes: int = 0
    row_count: int = 0
    team: str | None = None
    team_id: str | None = None
    names: tuple[str, ...] = ()


def plan_garbage(database: Database, storage: Storage, rules: KeepRules, *, now: datetime) -> list[Deletion]:
    """List what would be deleted now: first what is unreachable, then what has been kept long enough."""
    seconds = now.timestamp()
    # Listed before the rows, so that an upload that begins meanwhile is not among them.
    folder_ids = storage.list_upload_ids()
    old_ids = storage.list_dataset_ids(ABANDONED_SECONDS, seconds)
    with database.read() as session:
        plan = [*_plan_half_written(storage, seconds), *_plan_datasets(session, storage, old_ids)]
        plan += _plan_uploads(session, storage, folder_ids)
        plan += _plan_sessions(session)
        plan += _plan_ended_runs(session, storage, now)
        plan += _plan_bundles(session, rules, now)
        plan += _plan_logs(session, storage, rules, now)
        plan += _plan_metrics(session, rules, now)
        plan += _plan_unused_datasets(session, rules, now)
    return plan


def _plan_half_written(storage: Storage, seconds: float) -> Iterator[Deletion]:
    reason = f"half-written, and untouched for {describe_seconds(ABANDONED_SECONDS)}"
    for path in storage.list_abandoned(ABANDONED_SECONDS, seconds):
        try:
            size_bytes = path.stat().st_size
        except FileNotFoundError:
            continue
        yield Deletion(Rule.HALF_WRITTEN, str(path), reason, size_bytes)


def _plan_datasets(session: Session, storage: Storage, old_ids: Collection[str]) -> Iterator[Deletion]:
    for dataset_id in sorted(set(old_ids) - find_known_ids(session)):
        file = storage.store.find(make_dataset_key(dataset_id))
        size_bytes = file.size_bytes if file is not None else 0
        yield Deletion(Rule.DATASET_WITHOUT_ROW, dataset_id, "a dataset's file that no row names", size_bytes)


def _plan_uploads(session: Session, storage: Storage, folder_ids: Collection[str]) -> Iterator[Deletion]:
    expired = dict(uploads.list_expired(session))
    for upload_id, team in expired.items():
        reason = "past its time (EMOTUNE_UPLOAD_SECONDS)"
        size_bytes = sum(storage.list_parts(upload_id).values())
        yield Deletion(Rule.UPLOAD_EXPIRED, upload_id, reason, size_bytes, row_count=1, team=team)
    for upload_id in sorted(set(folder_ids) - uploads.find_unfinished_ids(session) - expired.keys()):
        size_bytes = sum(storage.list_parts(upload_id).values())
        reason = "parts of an upload that is complete or gone"
        yield Deletion(Rule.UPLOAD_NOT_NEEDED, upload_id, reason, size_bytes)


def _plan_sessions(session: Session) -> Iterator[Deletion]:
    count = sessions.count_expired(session)
    if count:
        yield Deletion(Rule.SESSION_EXPIRED, "sessions", "sessions and login links past their time", row_count=count)


def _plan_ended_runs(session: Session, storage: Storage, now: datetime) -> Iterator[Deletion]:
    """Plan what was left by workers, and garbage collections, that died before they could clean up."""
    job_ids = [job_id for job_id, _ in run_ends.list_ended_runs(session, within=CLEARED_WITHIN)]
    job_ids += retention.list_lately_withdrawn(session, since=now - CLEARED_WITHIN)
    for job_id in dict.fromkeys(job_ids):
        left_bytes = leftovers.measure_run_leftovers(storage, job_id)
        if left_bytes is not None:
            yield Deletion(Rule.RUN_LEFTOVERS, job_id, "working files of a job that has ended", left_bytes)
        files = {file.key.rpartition("/")[2]: file.size_bytes for file in list_files(storage, [f"artifacts/{job_id}"])}
        named = {artifact.filename for artifact in list_artifacts(session, job_id=job_id)}
        lost = sorted(files.keys() - named)
        if lost:
            size_bytes = sum(files[name] for name in lost)
            reason = "files of an ended job that no row names"
            yield Deletion(Rule.ARTIFACT_WITHOUT_ROW, job_id, reason, size_bytes, names=tuple(lost))


def _plan_bundles(session: Session, rules: KeepRules, now: datetime) -> Iterator[Deletion]:
    before = rules.find_limit(Keeping.BUNDLES, now)
    if before is None:
        return
    reason = rules.describe(Keeping.BUNDLES)
    for job_id, team, kind, size_bytes in retention.list_due_artifacts(session, keeping=Keeping.BUNDLES, before=before):
        yield Deletion(Rule.KEEP_BUNDLES, job_id, reason, size_bytes, team=team, names=(kind,))


def _plan_logs(session: Session, storage: Storage, rules: KeepRules, now: datetime) -> Iterator[Deletion]:
    """Plan the artifacts and run folders of a job as one deletion."""
    before = rules.find_limit(Keeping.LOGS, now)
    if before is None:
        return
    reason = rules.describe(Keeping.LOGS)
    kinds: dict[str, list[str]] = defaultdict(list)
    sizes: dict[str, int] = defaultdict(int)
    for job_id, _, kind, size_bytes in retention.list_due_artifacts(session, keeping=Keeping.LOGS, before=before):
        kinds[job_id].append(kind)
        sizes[job_id] += size_bytes
    for file in list_files(storage, ["runs"]):
        sizes[file.key.split("/")[1]] += file.size_bytes
    for job_id, team in retention.find_ended(session, job_ids=sizes.keys(), before=before).items():
        yield Deletion(Rule.KEEP_LOGS, job_id, reason, sizes[job_id], team=team, names=tuple(kinds[job_id]))


def _plan_metrics(session: Session, rules: KeepRules, now: datetime) -> Iterator[Deletion]:
    before = rules.find_limit(Keeping.METRICS, now)
    if before is None:
        return
    reason = rules.describe(Keeping.METRICS)
    for job_id, team, count in retention.list_due_metrics(session, before=before):
        yield Deletion(Rule.KEEP_METRICS, job_id, reason, row_count=count, team=team)


def _plan_unused_datasets(session: Session, rules: KeepRules, now: datetime) -> Iterator[Deletion]:
    before = rules.find_limit(Keeping.DATASETS, now)
    if before is None:
        return
    reason = rules.describe(Keeping.DATASETS)
    for dataset_id, team_id, team, size_bytes in retention.list_unused_datasets(session, before=before):
        yield Deletion(Rule.KEEP_DATASETS, dataset_id, reason, size_bytes, row_count=1, team=team, team_id=team_id)
