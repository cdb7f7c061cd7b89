"""Garbage collection deletes what can no longer be reached, and nothing else."""

import os
import time
from pathlib import Path

from sqlalchemy import select

from jobs.access import sessions
from jobs.access.teams import create_key, digest_secret, get_or_create_team
from jobs.data import uploads
from jobs.data.datasets import add_dataset
from jobs.files.keys import make_dataset_key, make_upload_prefix
from jobs.ids import new_id
from jobs.models import Artifact, Job, Upload, WebSession
from jobs.runs import claims
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from tests.unit.worker.conftest import MakeJob
from worker.housekeeping.garbage import collect_garbage
from worker.housekeeping.garbage_plan import ABANDONED_SECONDS
from worker.resources import Resources


def test_only_old_half_written_files_are_deleted(resources: Resources) -> None:
    incoming = resources.storage.root / "incoming"
    incoming.mkdir()
    old, new = incoming / "old", incoming / "new"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, time.time() - ABANDONED_SECONDS - 60))
    collect_garbage(resources)
    assert list(incoming.iterdir()) == [new]


def test_the_weights_of_ended_jobs_go_and_those_of_others_stay(resources: Resources, make_job: MakeJob) -> None:
    ended, requeued = make_job(name="ended").id, make_job(name="requeued").id
    with resources.database.write() as session:
        for number in range(2):
            claims.claim_next(session, slot=f"slot-{number}", device="cpu", lease_seconds=60)
        run_ends.fail(session, job_id=ended, attempt=1, end=RunEnd(1, "x", "x"))
        run_ends.interrupt(session, job_id=requeued, attempt=1, message="later", end=RunEnd(3))
        assert session.get_one(Job, ended).finished_at is not None
    for job_id in (ended, requeued):
        weights = resources.storage.get_run_folder(job_id, 1) / "output" / "weights"
        weights.parent.mkdir(parents=True)
        weights.touch()
    collect_garbage(resources)
    assert not (resources.storage.get_run_folder(ended, 1) / "output").exists()
    assert (resources.storage.get_run_folder(requeued, 1) / "output").exists()


def test_files_that_no_row_names_go_once_the_job_has_ended(
    resources: Resources, make_job: MakeJob, tmp_path: Path
) -> None:
    job_id = make_job().id
    source = tmp_path / "log.txt"
    source.write_text("x")
    storage = resources.storage
    for filename in ("log-1.txt", "bundle-1.zip", "log-2.txt"):
        storage.put_artifact(job_id, filename, source)
    collect_garbage(resources)
    assert len(storage.list_artifact_files(job_id)) == 3, "its run may be about to report them"
    kept = Artifact(job_id=job_id, kind="log", filename="log-2.txt", media_type="x", size_bytes=1, sha256="0")
    with resources.database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
        run_ends.fail(session, job_id=job_id, attempt=1, end=RunEnd(1, "x", "x"), artifacts=[kept])
    collect_garbage(resources)
    assert storage.list_artifact_files(job_id) == {"log-2.txt"}


def test_a_dataset_file_without_a_row_goes_when_it_is_old(resources: Resources) -> None:
    storage = resources.storage
    with_row, without_row, new = (new_id("ds") for _ in range(3))
    with resources.database.write() as session:
        team = get_or_create_team(session, name="ours")
        add_dataset(
            session,
            dataset_id=with_row,
            team_id=team.id,
            name="kept",
            size_bytes=0,
            sha256="0" * 64,
            axes=["A_B", "C_D"],
            example_count=1,
            report={},
        )
    for dataset_id in (with_row, without_row, new):
        path = storage.root / make_dataset_key(dataset_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for dataset_id in (with_row, without_row):
        os.utime((storage.root / make_dataset_key(dataset_id)), (0, time.time() - ABANDONED_SECONDS - 60))
    stray = storage.root / "datasets" / ".nfs0001"
    stray.touch()
    os.utime(stray, (0, time.time() - ABANDONED_SECONDS - 60))
    collect_garbage(resources)
    left = {path.stem for path in (storage.root / "datasets").iterdir()}
    assert left == {with_row, new, stray.stem}


def test_uploads_go_when_they_expire_and_their_parts_when_nothing_needs_them(resources: Resources) -> None:
    storage = resources.storage
    with resources.database.write() as session:
        team_id = get_or_create_team(session, name="ours").id

        def begin(seconds: float) -> str:
            return uploads.create_upload(
                session,
                team_id=team_id,
                name="chats",
                axes=["A_B", "C_D"],
                mapping=None,
                size_bytes=None,
                sha256=None,
                expire_seconds=seconds,
            ).id

        kept, expired, complete = begin(60), begin(-1), begin(60)
        uploads.complete_upload(session, upload_id=complete, dataset_id=new_id("ds"))
    without_row = new_id("up")
    for upload_id in (kept, expired, complete, without_row):
        path = storage.root / f"{make_upload_prefix(upload_id)}1"
        path.parent.mkdir(parents=True)
        path.touch()
    collect_garbage(resources)
    assert [path.name for path in (storage.root / "uploads").iterdir()] == [kept]
    with resources.database.read() as session:
        assert session.get(Upload, expired) is None
        assert session.get_one(Upload, complete).dataset_id is not None


def test_a_file_with_a_second_name_is_not_old_while_its_row_is_being_written(resources: Resources) -> None:
    storage = resources.storage
    first, second = new_id("ds"), new_id("ds")
    with storage.receive() as incoming:
        incoming.write(b"content")
        storage.put_dataset(first, incoming, twin_id=None)
    os.utime((storage.root / make_dataset_key(first)), (0, time.time() - ABANDONED_SECONDS - 60))
    with storage.receive() as incoming:
        storage.put_dataset(second, incoming, twin_id=first)
    collect_garbage(resources)
    assert (storage.root / make_dataset_key(second)).read_bytes() == b"content"


def test_sessions_past_their_time_go(resources: Resources) -> None:
    with resources.database.write() as session:
        key, _ = create_key(session, team=get_or_create_team(session, name="ours"), name="laptop")
        _, ended = sessions.create_session(session, key_id=key.id, expire_seconds=-1)
        _, open_one = sessions.create_session(session, key_id=key.id, expire_seconds=60)
    collect_garbage(resources)
    with resources.database.read() as session:
        kept = session.scalars(select(WebSession.sha256)).all()
    assert kept == [digest_secret(open_one)] != [digest_secret(ended)]
