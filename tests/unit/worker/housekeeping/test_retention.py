"""What is past its time goes, by the operator's rules, and nothing that is needed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from cli.garbage import render_json, render_lines
from jobs import records
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.errors import ArtifactGone
from jobs.files.keys import make_artifact_key
from jobs.files.stored_files import list_files, write_file
from jobs.models import Artifact, Dataset, Event, Job, Metric
from jobs.runs import claims
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.runs.retention import Keeping, KeepRules, describe_seconds
from jobs.settings import DAY_SECONDS, Settings
from jobs.status import JobStatus
from tests.unit.conftest import TestTeam, make_dataset
from tests.unit.worker.conftest import MakeJob
from worker.housekeeping.garbage import carry_out, collect_garbage
from worker.housekeeping.garbage_plan import Deletion, Rule, plan_garbage
from worker.resources import Resources

LONG_AGO = utc_now() - timedelta(days=40)
KINDS = ("bundle", "log", "loss_curve")
MONTH = 30 * DAY_SECONDS


def plan(resources: Resources, *keepings: Keeping, now: datetime | None = None) -> list[Deletion]:
    rules = KeepRules(dict.fromkeys(keepings, float(MONTH)))
    return plan_garbage(resources.database, resources.storage, rules, now=now or utc_now())


def end_job(resources: Resources, job_id: str, tmp_path: Path, *, at: datetime = LONG_AGO) -> None:
    """With a file for each kind, a log in its run's folder, and two metrics."""
    source = tmp_path / "source"
    source.write_bytes(b"content")
    artifacts = []
    for kind in KINDS:
        size_bytes, sha256 = resources.storage.put_artifact(job_id, f"{kind}-1", source)
        artifacts.append(
            Artifact(
                job_id=job_id, kind=kind, filename=f"{kind}-1", media_type="x", size_bytes=size_bytes, sha256=sha256
            )
        )
    folder = resources.storage.get_run_folder(job_id, 1)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_bytes(b"a line\n")
    with resources.database.write() as session:
        assert claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60) is not None
        session.add_all(Metric(job_id=job_id, attempt=1, seq=seq, values={"step": seq}) for seq in (1, 2))
        run_ends.fail(session, job_id=job_id, attempt=1, end=RunEnd(1, "x", "x"), artifacts=artifacts)
        job = session.get_one(Job, job_id)
        job.finished_at = at
        job.created_at = at
    # So that the two days in which working files of ended runs are looked for have passed.
    with resources.database.write() as session:
        for run in records.list_runs(session, job_id=job_id):
            run.ended_at = at


@pytest.fixture
def old_job(resources: Resources, make_job: MakeJob, tmp_path: Path) -> str:
    job_id = make_job(name="old").id
    end_job(resources, job_id, tmp_path)
    return job_id


def list_messages(database: Database, job_id: str) -> Sequence[str]:
    with database.read() as session:
        statement = select(Event.message).where(Event.job_id == job_id, Event.kind == "deleted").order_by(Event.id)
        return session.scalars(statement).all()


def test_without_rules_everything_is_kept_for_ever(resources: Resources, old_job: str) -> None:
    assert KeepRules.of(resources.settings).seconds == {}
    assert plan(resources) == []
    assert plan(resources, now=utc_now() + timedelta(days=3650)) == []


def test_the_settings_are_the_rules(settings: Settings) -> None:
    kept = {name for name in Settings.model_fields if name.startswith("keep_")}
    assert kept == {f"keep_{keeping}_seconds" for keeping in Keeping}
    changed = settings.model_copy(update={"keep_bundles_seconds": 60.0, "keep_datasets_seconds": 3600.0})
    assert KeepRules.of(changed).seconds == {Keeping.BUNDLES: 60.0, Keeping.DATASETS: 3600.0}


def test_making_a_plan_changes_nothing(resources: Resources, old_job: str) -> None:
    first = plan(resources, *Keeping)
    assert {deletion.rule for deletion in first} == {Rule.KEEP_BUNDLES, Rule.KEEP_LOGS, Rule.KEEP_METRICS}
    assert plan(resources, *Keeping) == first
    assert len(resources.storage.list_artifact_files(old_job)) == len(KINDS)


def test_a_bundle_past_its_time_is_gone_and_the_job_says_why(
    resources: Resources, old_job: str, team: TestTeam
) -> None:
    (deletion,) = plan(resources, Keeping.BUNDLES)
    reason = "kept for 30 days after the job's end (EMOTUNE_KEEP_BUNDLES_SECONDS)"
    expected = (Rule.KEEP_BUNDLES, old_job, "reds", 7, ("bundle",), reason)
    assert (
        deletion.rule,
        deletion.subject,
        deletion.team,
        deletion.size_bytes,
        deletion.names,
        deletion.reason,
    ) == expected
    assert carry_out(resources.database, resources.storage, [deletion]) == [deletion]
    assert resources.storage.list_artifact_files(old_job) == {"log-1", "loss_curve-1"}
    with resources.database.read() as session:
        assert [each.kind for each in records.list_artifacts(session, job_id=old_job)] == ["log", "loss_curve"]
        with pytest.raises(ArtifactGone, match=r"The bundle was deleted on 20"):
            records.get_artifact(session, job_id=old_job, kind="bundle")
        assert session.get_one(Job, old_job).status is JobStatus.FAILED
    assert list_messages(resources.database, old_job) == [f"Deleted: bundle. Such files are {reason}."]
    assert plan(resources, Keeping.BUNDLES) == []
    # Carried out twice, as two processes may do it, it is reported once.
    carry_out(resources.database, resources.storage, [deletion])
    assert len(list_messages(resources.database, old_job)) == 1


def test_a_bundle_that_is_being_read_is_read_to_its_end(resources: Resources, old_job: str) -> None:
    with (resources.storage.root / make_artifact_key(old_job, "bundle-1")).open("rb") as stream:
        first = stream.read(3)
        carry_out(resources.database, resources.storage, plan(resources, Keeping.BUNDLES))
        assert first + stream.read() == b"content"


def test_logs_go_with_the_folders_of_the_runs(resources: Resources, old_job: str) -> None:
    (deletion,) = plan(resources, Keeping.LOGS)
    assert (deletion.names, deletion.size_bytes) == (("log", "loss_curve"), 7 + 7 + 7)
    carry_out(resources.database, resources.storage, [deletion])
    assert resources.storage.list_artifact_files(old_job) == {"bundle-1"}
    assert list(list_files(resources.storage, ["runs"])) == []
    with resources.database.read() as session, pytest.raises(ArtifactGone, match="log"):
        records.check_logs(session, job_id=old_job)


def test_metrics_go_and_the_course_of_the_loss_stays(resources: Resources, old_job: str) -> None:
    (deletion,) = plan(resources, Keeping.METRICS)
    assert (deletion.row_count, deletion.team) == (2, "reds")
    carry_out(resources.database, resources.storage, [deletion])
    with resources.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Metric)) == 0
    assert "2 points" in list_messages(resources.database, old_job)[0]
    assert plan(resources, Keeping.METRICS) == []


def test_what_ended_lately_and_what_has_not_ended_is_kept(
    resources: Resources, make_job: MakeJob, tmp_path: Path
) -> None:
    recent, paused = make_job(name="recent").id, make_job(name="paused").id
    end_job(resources, recent, tmp_path, at=utc_now() - timedelta(days=29))
    checkpoint = resources.storage.get_checkpoint_folder(paused, 1) / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    (checkpoint / "weights").touch()
    with resources.database.write() as session:
        for job in session.scalars(select(Job).where(Job.id == paused)):
            job.status, job.created_at = JobStatus.PAUSED, LONG_AGO
    assert plan(resources, *Keeping) == []
    rules = {deletion.rule for deletion in plan(resources, *Keeping, now=utc_now() + timedelta(days=2))}
    assert rules == {Rule.KEEP_BUNDLES, Rule.KEEP_LOGS, Rule.KEEP_METRICS}


@pytest.mark.parametrize("status", [status for status in JobStatus if not status.is_final])
def test_a_dataset_goes_only_when_no_job_needs_it_or_used_it_lately(
    resources: Resources, team: TestTeam, make_job: MakeJob, dataset: Dataset, status: JobStatus
) -> None:
    unused = make_dataset(resources.database, team, "unused")
    fresh = make_dataset(resources.database, team, "fresh")
    job_id = make_job().id
    with resources.database.write() as session:
        for dataset_id in (dataset.id, unused.id):
            session.get_one(Dataset, dataset_id).created_at = LONG_AGO
        job = session.get_one(Job, job_id)
        job.status, job.created_at, job.slot = status, LONG_AGO, "slot-0"
    (deletion,) = plan(resources, Keeping.DATASETS)
    assert (deletion.subject, deletion.team, deletion.size_bytes) == (unused.id, "reds", 100)
    write_file(resources.storage, f"datasets/{unused.id}.jsonl", [b"x"])
    write_file(resources.storage, f"datasets/{fresh.id}.jsonl", [b"x"])
    # A plan that is out of date: the job has come to need the dataset meanwhile.
    stale = replace(deletion, subject=dataset.id)
    assert carry_out(resources.database, resources.storage, [stale, deletion]) == [deletion]
    assert [file.key for file in list_files(resources.storage)] == [f"datasets/{fresh.id}.jsonl"]
    with resources.database.write() as session:
        assert session.scalars(select(Dataset.id).order_by(Dataset.id)).all() == [dataset.id, fresh.id]
        job = session.get_one(Job, job_id)
        job.status, job.slot, job.finished_at = JobStatus.SUCCEEDED, None, utc_now()
    assert plan(resources, Keeping.DATASETS) == []
    with resources.database.write() as session:
        session.get_one(Job, job_id).finished_at = LONG_AGO
    assert [each.subject for each in plan(resources, Keeping.DATASETS)] == [dataset.id]


def test_a_file_left_by_a_collection_that_died_goes_with_the_next(resources: Resources, old_job: str) -> None:
    with resources.database.write() as session:
        session.get_one(Artifact, (old_job, "bundle")).deleted_at = utc_now()
    (deletion,) = plan(resources)
    assert (deletion.rule, deletion.names) == (Rule.ARTIFACT_WITHOUT_ROW, ("bundle-1",))
    collect_garbage(resources)
    assert "bundle-1" not in resources.storage.list_artifact_files(old_job)


def test_the_housekeeping_goes_by_the_settings(resources: Resources, old_job: str) -> None:
    settings = resources.settings.model_copy(update={"keep_bundles_seconds": float(MONTH)})
    collect_garbage(replace(resources, settings=settings))
    assert resources.storage.list_artifact_files(old_job) == {"log-1", "loss_curve-1"}


def test_a_plan_is_shown_by_rule_and_team(resources: Resources, old_job: str) -> None:
    found = plan(resources, Keeping.BUNDLES, Keeping.METRICS)
    lines = render_lines(found, is_done=False).splitlines()
    assert lines[0] == (
        f"keep_bundles         reds  {old_job} (bundle)  0.0 MiB: "
        "kept for 30 days after the job's end (EMOTUNE_KEEP_BUNDLES_SECONDS)"
    )
    assert lines[-4:] == [
        "keep_bundles         reds  1 times, 0.0 MiB",
        "keep_metrics         reds  1 times, 0.0 MiB and 2 rows",
        "to delete: 0.0 MiB and 2 rows",
        "this was a dry run: `emotune garbage --delete` deletes it",
    ]
    assert render_lines([], is_done=False) == "nothing to delete"
    document = json.loads(render_json(found, is_done=True))
    assert (document["is_deleted"], document["size_bytes"]) == (True, 7)
    assert document["deletions"][0] == {**asdict(found[0]), "names": ["bundle"]}


@pytest.mark.parametrize(
    ("seconds", "text"), [(3600, "1 hour"), (5400, "1.5 hours"), (DAY_SECONDS, "1 day"), (MONTH, "30 days")]
)
def test_a_time_is_said_in_days_or_hours(seconds: float, text: str) -> None:
    assert describe_seconds(seconds) == text
