"""The verbs in any order, by any number of hands: what holds after each of them.

To take in a new verb, add a rule: pick a job with `draw_job`, run the verb within `self.write()`, and let the
invariants judge. Time passes by moving every moment in the database into the past.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from emomodel.config import TrainConfig
from jobs.clock import utc_now
from jobs.data.datasets import add_dataset
from jobs.database.engine import Database
from jobs.errors import Conflict, JobFinished, JobNotWaiting, QuotaExceeded, RunFenced
from jobs.ids import new_id
from jobs.models import ApiKey, Artifact, Base, Dataset, Event, Job, Metric, Run, Slot, Team, UtcDateTime
from jobs.priorities import PriorityClass
from jobs.queue import standings, usage
from jobs.queue.board import draw_board
from jobs.queue.rules import QueueRules
from jobs.queue.shares import accumulate, decay
from jobs.runs import claims, reaping, stops
from jobs.runs import ends as run_ends
from jobs.runs import operator as operators
from jobs.runs.ends import RunEnd
from jobs.status import JobStatus, StopKind, can_move
from tests.support.posting import post_job
from tests.support.queues import add_slot, add_team

RULES = QueueRules()
LEASE_SECONDS = 60.0
MAX_CRASHES = 3
SLOTS = {"slot-0": 1.0, "slot-1": 1.0, "slot-2": 4.0}
# The quotas of running jobs that the teams begin with.
TEAMS = {"reds": 1, "blues": 2, "greens": None}
# Facts about ended jobs, and about runs by (job, attempt), that may occur only once.
END_KINDS = {"succeeded", "failed", "cancelled"}
# Ids and times differ each time that the same steps are taken, and so may the jobs that run. Hypothesis takes different
# draws after the same steps for an error, so what is drawn doesn't depend on the jobs: numbers for a list of any
# length, and no preconditions. A rule that finds no job changes nothing.
JOB_NUMBERS = st.integers(0, 2**16)


class QueueMachine(RuleBasedStateMachine):
    """A database, three slots and three teams."""

    migrated_file: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "emotune.db"
        shutil.copy(self.migrated_file, path)
        self.database = Database(f"sqlite:///{path}")
        self.statuses: dict[str, JobStatus] = {}

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self.database.write() as session:
            yield session

    def draw_job(self, data: st.DataObject, *statuses: JobStatus) -> Job | None:
        """Draw one of the jobs with one of these statuses, if there is any."""
        number = data.draw(JOB_NUMBERS)
        with self.database.read() as session:
            jobs = session.scalars(select(Job).where(Job.status.in_(statuses)).order_by(Job.id)).all()
        return jobs[number % len(jobs)] if jobs else None

    @initialize()
    def begin(self) -> None:
        now = utc_now()
        with self.write() as session:
            for name, max_running in TEAMS.items():
                team = add_team(session, name, max_priority_class=PriorityClass.URGENT, max_running=max_running)
                add_dataset(
                    session,
                    dataset_id=new_id("ds"),
                    team_id=team.id,
                    name="chats",
                    size_bytes=1,
                    sha256="0" * 64,
                    axes=["SADNESS_JOY", "FEAR_COURAGE"],
                    example_count=1,
                    report={},
                )
            for name, size in SLOTS.items():
                add_slot(session, name, now, size=size)
        for name in TEAMS:
            for priority_class in PriorityClass:
                self.create(team=name, priority=0, priority_class=priority_class, epochs=1.0)
        self.statuses_follow_the_table()

    # What teams do

    @rule(
        team=st.sampled_from(list(TEAMS)),
        priority=st.integers(-1, 1),
        priority_class=st.sampled_from(PriorityClass),
        epochs=st.sampled_from([1.0, 50.0]),
    )
    def create(self, team: str, priority: int, priority_class: PriorityClass, epochs: float) -> None:
        with self.write() as session:
            owner = session.scalars(select(Team).where(Team.name == team)).one()
            waiting = session.query(Job).filter_by(team_id=owner.id, status=JobStatus.QUEUED).count()
            try:
                job = post_job(
                    session,
                    session.scalars(select(Dataset).where(Dataset.team_id == owner.id)).one(),
                    name=None,
                    priority=priority,
                    config=TrainConfig(epochs=epochs),
                    priority_class=priority_class,
                    rules=RULES,
                )
            except QuotaExceeded:
                is_full = owner.max_queued is not None and waiting >= owner.max_queued
                assert is_full or owner.max_running == 0 or owner.max_slot_seconds is not None
                return
            assert owner.max_queued is None or waiting < owner.max_queued
            assert 0 <= job.prepaid_seconds <= RULES.entry_penalty_seconds

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = self.draw_job(data, *JobStatus)
        if job is None:
            return
        with self.write() as session:
            if job.status in (JobStatus.SUCCEEDED, JobStatus.FAILED):
                with pytest.raises(JobFinished):
                    stops.request_cancel(session, team_id=job.team_id, job_id=job.id)
            else:
                stops.request_cancel(session, team_id=job.team_id, job_id=job.id)

    @rule(data=st.data(), verb=st.sampled_from([stops.request_pause, stops.resume_job, stops.request_checkpoint]))
    def stop_or_go_on(self, data: st.DataObject, verb: Callable[..., Job]) -> None:
        """Whatever state the job is in, the request takes effect, or a conflict says why it can't."""
        job = self.draw_job(data, *JobStatus)
        if job is None:
            return
        with self.write() as session:
            try:
                asked = verb(session, team_id=job.team_id, job_id=job.id)
            except Conflict:
                is_ending = job.status.is_final or job.stop_kind is StopKind.CANCEL
                assert is_ending or (verb is stops.request_checkpoint and job.status is not JobStatus.RUNNING)
                return
            if verb is stops.request_pause:
                assert asked.status is JobStatus.PAUSED or asked.stop_kind is StopKind.PAUSE
            elif verb is stops.resume_job:
                assert asked.status is not JobStatus.PAUSED
                assert asked.stop_kind is not StopKind.PAUSE

    @rule(data=st.data())
    def preempt(self, data: st.DataObject) -> None:
        job = self.draw_job(data, JobStatus.RUNNING)
        if job is None:
            return
        with self.write() as session:
            assert stops.preempt(session, job_id=job.id, reason="x") is (job.stop_kind is None)

    # What workers do

    @rule()
    def claim_on_all_slots(self) -> None:
        for slot in SLOTS:
            self.claim(slot=slot)

    @rule(slot=st.sampled_from(list(SLOTS)))
    def claim(self, slot: str) -> None:
        now = utc_now()
        with self.write() as session:
            expected = self._foresee(session, slot, now)
            job = claims.claim_next(session, slot=slot, device="cpu", lease_seconds=LEASE_SECONDS, rules=RULES, now=now)
            assert (job and job.id) == expected
            if job is not None:
                assert job.held_at is None
                team = session.get_one(Team, job.team_id)
                running = session.query(Job).filter_by(team_id=team.id, status=JobStatus.RUNNING).count()
                assert team.max_running is None or running <= team.max_running

    def _foresee(self, session: Session, slot: str, now: datetime) -> str | None:
        """Return the job that the board gives this slot if it is the only open one."""
        with session.begin_nested() as savepoint:
            session.execute(update(Slot).where(Slot.name != slot).values(drained_at=now))
            session.expire_all()
            places = draw_board(session, rules=RULES, now=now).places
            savepoint.rollback()
        session.expire_all()
        return next((place.job.id for place in places if place.starts_in == 0), None)

    @rule(data=st.data(), way=st.sampled_from(["heartbeat", "succeed", "fail", "interrupt", "crash", "cancelled"]))
    def go_on(self, data: st.DataObject, way: str) -> None:
        """Let a run send a heartbeat, or end."""
        job = self.draw_job(data, JobStatus.RUNNING)
        if job is None:
            return
        with self.write() as session:
            self._write_run(session, way, job.id, job.attempt)

    @rule(data=st.data(), way=st.sampled_from(["heartbeat", "succeed", "fail", "interrupt", "crash", "cancelled"]))
    def write_too_late(self, data: st.DataObject, way: str) -> None:
        """Write for an attempt that is over, or never existed: it changes nothing."""
        job = self.draw_job(data, *JobStatus)
        if job is None:
            return
        attempt = job.attempt + 1 if job.status is JobStatus.RUNNING else job.attempt
        with self.write() as session, pytest.raises(RunFenced):
            self._write_run(session, way, job.id, attempt)

    @staticmethod
    def _write_run(session: Session, way: str, job_id: str, attempt: int) -> None:
        owner: dict[str, Any] = {"job_id": job_id, "attempt": attempt}
        if way == "heartbeat":
            claims.heartbeat(session, **owner, lease_seconds=LEASE_SECONDS)
        elif way == "succeed":
            run_ends.succeed(session, **owner, end=RunEnd(0), artifacts=[], message="Done.", result={})
        elif way == "fail":
            run_ends.fail(session, **owner, end=RunEnd(1, "x", "It failed."))
        elif way == "interrupt":
            run_ends.interrupt(session, **owner, end=RunEnd(3), message="The worker leaves")
        elif way == "crash":
            run_ends.crash(session, **owner, end=RunEnd(-9, "x", "It was killed."), max_crashes=MAX_CRASHES)
        else:
            run_ends.confirm_cancel(session, **owner, end=RunEnd(0))

    @rule()
    def reap(self) -> None:
        with self.write() as session:
            lost = set(
                session.scalars(select(Job.id).where(Job.status == JobStatus.RUNNING, Job.lease_expires_at < utc_now()))
            )
            assert set(reaping.reap(session, max_crashes=MAX_CRASHES)) == lost

    # What the operator does

    @rule(data=st.data(), verb=st.sampled_from(["hold", "release", "first", "second", "unpin"]))
    def steer(self, data: st.DataObject, verb: str) -> None:
        job = self.draw_job(data, JobStatus.QUEUED, JobStatus.RUNNING)
        if job is None:
            return
        with self.write() as session:
            if job.status is JobStatus.RUNNING:
                with pytest.raises(JobNotWaiting):
                    operators.hold_job(session, job_id=job.id, reason="x")
            elif verb == "hold":
                operators.hold_job(session, job_id=job.id, reason="x")
            elif verb == "release":
                operators.release_job(session, job_id=job.id)
            else:
                position = {"first": 1, "second": 2}.get(verb)
                operators.move_job(session, job_id=job.id, position=position, rules=RULES)

    @rule(
        team=st.sampled_from(list(TEAMS)),
        changes=st.fixed_dictionaries(
            {},
            optional={
                "weight": st.sampled_from([0.5, 1.0, 4.0]),
                "max_running": st.sampled_from([None, 0, 1, 2]),
                "max_queued": st.sampled_from([None, 0, 2]),
                "max_slot_seconds": st.sampled_from([None, 500.0]),
            },
        ),
    )
    def change_team(self, team: str, changes: dict[str, Any]) -> None:
        with self.write() as session:
            standings.change_team(session, name=team, changes=changes)

    @rule(slot=st.sampled_from(list(SLOTS)), is_drained=st.booleans())
    def drain(self, slot: str, is_drained: bool) -> None:
        with self.write() as session:
            session.get_one(Slot, slot).drained_at = utc_now() if is_drained else None

    @rule(seconds=st.sampled_from([1, 50, 100, 3600, 8 * 24 * 3600]))
    def let_time_pass(self, seconds: int) -> None:
        with self.write() as session:
            for table in (Team, ApiKey, Dataset, Job, Run, Event, Metric, Artifact):
                self._move_into_past(session, table, timedelta(seconds=seconds))

    @staticmethod
    def _move_into_past(session: Session, table: type[Base], by: timedelta) -> None:
        moments = [column.key for column in table.__table__.columns if isinstance(column.type, UtcDateTime)]
        for row in session.scalars(select(table)):
            for name in moments:
                moment = getattr(row, name)
                if moment is not None:
                    setattr(row, name, moment - by)

    # What always holds

    @invariant()
    def statuses_follow_the_table(self) -> None:
        with self.database.read() as session:
            found = {row.id: row.status for row in session.execute(select(Job.id, Job.status))}
        for job_id, status in found.items():
            before = self.statuses.get(job_id, JobStatus.QUEUED)
            assert status is before or can_move(before, status), (before, status)
        self.statuses = found

    @invariant()
    def a_slot_runs_one_job_and_a_job_one_run(self) -> None:
        with self.database.read() as session:
            running = session.scalars(select(Job).where(Job.status == JobStatus.RUNNING)).all()
            assert len({job.slot for job in running}) == len(running)
            open_runs = session.execute(select(Run.job_id, Run.attempt).where(Run.ended_at.is_(None))).all()
            assert sorted((run.job_id, run.attempt) for run in open_runs) == sorted(
                (job.id, job.attempt) for job in running
            )

    @invariant()
    def what_ends_ends_once(self) -> None:
        with self.database.read() as session:
            events = session.execute(select(Event.job_id, Event.kind).where(Event.kind.in_(END_KINDS))).all()
            ended = session.scalars(select(Job.id).where(Job.finished_at.is_not(None))).all()
            assert sorted(event.job_id for event in events) == sorted(ended)

    @invariant()
    def teams_are_charged_for_each_run_once_and_for_each_waiting_job(self) -> None:
        now = utc_now()
        half_life = RULES.usage_half_life_seconds
        with self.database.read() as session:
            used = dict.fromkeys(session.scalars(select(Team.id)), 0.0)
            advances = dict(used)
            for run in session.scalars(select(Run).where(Run.ended_at.is_not(None))):
                assert run.ended_at is not None
                assert run.slot_seconds is not None
                duration = (run.ended_at - run.started_at).total_seconds()
                since_end = (now - run.ended_at).total_seconds()
                used[run.team_id] += run.slot_size * accumulate(duration, since_end=since_end, half_life=half_life)
            for job in session.scalars(select(Job).where(Job.prepaid_seconds > 0)):
                assert not job.status.is_final
                elapsed = (now - job.created_at).total_seconds()
                advances[job.team_id] += decay(job.prepaid_seconds, elapsed=elapsed, half_life=half_life)
            for team in session.scalars(select(Team)):
                account = usage.get_account(team).as_of(now)
                assert account.usage_seconds == pytest.approx(used[team.id], rel=1e-6, abs=1e-3)
                assert account.advance_seconds == pytest.approx(advances[team.id], rel=1e-6, abs=1e-3)
                assert account.usage_seconds >= 0
                assert account.advance_seconds >= 0


def test_the_verbs_in_any_order_keep_what_always_holds(migrated_file: Path) -> None:
    QueueMachine.migrated_file = migrated_file
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=25,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # Real time passes while it runs, so that a smaller case may not fail again. The first failure is reported
            # as it is.
            phases=[Phase.generate],
        ),
    )
