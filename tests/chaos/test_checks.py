"""Each check finds the violation that it is for, and finds nothing in a job that is in order.

The job in order: attempt 1 on slot-0 is interrupted after step 4, with a checkpoint of step 3; attempt 2 on slot-1
resumes from that.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.files.storage import Storage
from jobs.models import Event, Job, Metric, Run
from jobs.priorities import PriorityClass
from jobs.runs.reaping import WORKER_LOST
from jobs.settings import Settings
from jobs.status import JobStatus, RunCause
from tests.chaos import checks
from tests.chaos.evidence import Evidence
from tests.chaos.faults import Hit
from tests.chaos.journal import Life
from tests.chaos.load import Submitted
from tests.chaos.stalls import MACHINE_STALLED, STALL_SECONDS, StallWatch
from worker.housekeeping.sweeper import HIGHER_CLASS

JOB = "job_00000000000000000000000001"
LEASE_SECONDS = 3.0
TWIN = {step: 1 + step / 100 for step in range(1, 7)}

Spoil = Callable[[Evidence], None]


def make_evidence(tmp_path: Path) -> Evidence:
    """Times are seconds since the epoch, and the journal's clock is the same."""
    settings = Settings(data_dir=tmp_path, lease_seconds=LEASE_SECONDS)
    job = make_job(JOB, PriorityClass.NORMAL)
    first = make_run(1, "slot-0", 10, 20, "queued", cause=RunCause.INTERRUPTION)
    second = make_run(2, "slot-1", 21, 30, "succeeded")
    kinds = [("queued", 0), ("running", 1), ("phase", 1), ("requeued", 1), ("running", 2), ("succeeded", 2)]
    metrics: dict[tuple[str, int], list[Metric]] = defaultdict(list)
    for attempt, steps in ((1, range(1, 5)), (2, range(4, 7))):
        metrics[JOB, attempt] = [
            Metric(job_id=JOB, attempt=attempt, seq=seq, values={"step": step, "loss": TWIN[step]})
            for seq, step in enumerate(steps, 1)
        ]
    return Evidence(
        settings=settings,
        storage=Storage(tmp_path),
        submitted={JOB: Submitted(JOB, "team-0", "0")},
        hits=[Hit("worker_terminated", 18, 18, "slot-0", "pid 1")],
        twins={"0": TWIN},
        jobs={JOB: job},
        runs={(JOB, 1): first, (JOB, 2): second},
        events={JOB: [make_event(kind, attempt) for kind, attempt in kinds]},
        metrics=metrics,
        artifacts=defaultdict(list),
        lives=[make_life(100, 1, 11, 20, range(1, 5), [(15.0, 3)]), make_life(200, 2, 22, 29, range(4, 7))],
        clock_offset=0.0,
    )


def make_job(job_id: str, priority_class: PriorityClass) -> Job:
    """Posted at 5 and finished at 30."""
    created_at, finished_at = datetime.fromtimestamp(5, UTC), datetime.fromtimestamp(30, UTC)
    return Job(
        id=job_id,
        team_id="team_x",
        status=JobStatus.SUCCEEDED,
        attempt=2,
        priority_class=priority_class,
        created_at=created_at,
        finished_at=finished_at,
    )


def make_run(attempt: int, slot: str, began: float, ended: float, outcome: str, cause: RunCause | None = None) -> Run:
    return Run(
        job_id=JOB,
        attempt=attempt,
        slot=slot,
        started_at=datetime.fromtimestamp(began, UTC),
        ended_at=datetime.fromtimestamp(ended, UTC),
        outcome=outcome,
        cause=cause,
    )


def make_event(kind: str, attempt: int) -> Event:
    return Event(job_id=JOB, attempt=attempt, kind=kind, message="")


def make_life(
    pid: int, attempt: int, began: float, last: float, steps: range, saved: list[tuple[float, int]] | None = None
) -> Life:
    losses = [(step, TWIN[step]) for step in steps]
    return Life(pid, JOB, attempt, began, last, losses=losses, checkpoints=saved or [])


def find_all(evidence: Evidence) -> Iterator[str]:
    for check in checks.CHECKS:
        yield from check(evidence)


def test_a_run_in_order_violates_nothing(tmp_path: Path) -> None:
    assert list(find_all(make_evidence(tmp_path))) == []


def lose_the_job(evidence: Evidence) -> None:
    evidence.submitted["job_2"] = Submitted("job_2", "team-0", "0")


def double_the_job(evidence: Evidence) -> None:
    del evidence.submitted[JOB]


def leave_it_running(evidence: Evidence) -> None:
    evidence.jobs[JOB].status = JobStatus.RUNNING


def end_it_twice(evidence: Evidence) -> None:
    evidence.events[JOB].append(make_event("succeeded", 2))


def write_after_the_end(evidence: Evidence) -> None:
    evidence.events[JOB].insert(4, make_event("phase", 1))


def leave_a_run_open(evidence: Evidence) -> None:
    evidence.runs[JOB, 1].outcome = None


def succeed_in_two_runs(evidence: Evidence) -> None:
    evidence.runs[JOB, 1].outcome = "succeeded"


def skip_an_attempt(evidence: Evidence) -> None:
    evidence.jobs[JOB].attempt = 3


def take_the_reason_away(evidence: Evidence) -> None:
    evidence.hits.clear()


def strike_another_slot(evidence: Evidence) -> None:
    evidence.hits[0].slot = "slot-1"


def cancel_without_being_asked(evidence: Evidence) -> None:
    evidence.jobs[JOB].status = JobStatus.CANCELLED


def fail_before_the_limit(evidence: Evidence) -> None:
    evidence.jobs[JOB].status = JobStatus.FAILED


def preempt_for_nobody(evidence: Evidence) -> None:
    event = make_event("preempt_requested", 1)
    event.message = f"{HIGHER_CLASS}: the run was asked to save a checkpoint and leave its slot."
    evidence.events[JOB].insert(2, event)


def preempt_for_an_operator_who_did_not_ask(evidence: Evidence) -> None:
    evidence.events[JOB].insert(2, make_event("preempt_requested", 1))


def start_a_trainer_twice(evidence: Evidence) -> None:
    evidence.lives.append(make_life(300, 2, 29.5, 29.6, range(4, 5)))


def let_two_trainers_overlap_on_a_slot(evidence: Evidence) -> None:
    evidence.runs[JOB, 2].slot = "slot-0"
    evidence.lives[0].last_at = 23


def start_a_trainer_without_a_run(evidence: Evidence) -> None:
    evidence.lives.append(make_life(300, 3, 40, 41, range(1, 2)))


def let_a_trainer_go_on(evidence: Evidence) -> None:
    evidence.lives[0].last_at = 20 + LEASE_SECONDS + checks.LATE_SECONDS + 1


def change_a_loss_in_the_journal(evidence: Evidence) -> None:
    evidence.lives[1].losses[0] = (4, 9.9)


def change_a_loss_in_the_rows(evidence: Evidence) -> None:
    evidence.metrics[JOB, 2][1].values = {"step": 5, "loss": 9.9}


def skip_a_step(evidence: Evidence) -> None:
    del evidence.lives[1].losses[1]


def skip_a_metric(evidence: Evidence) -> None:
    del evidence.metrics[JOB, 1][1]


def lose_what_was_not_yet_in_the_database(evidence: Evidence) -> None:
    del evidence.metrics[JOB, 1][2:]


def start_again_in_spite_of_a_checkpoint(evidence: Evidence) -> None:
    evidence.lives[1] = make_life(200, 2, 22, 29, range(1, 7))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lose_the_job, "is lost"),
        (double_the_job, "nobody posted it"),
        (leave_it_running, "has not ended"),
        (end_it_twice, "ends"),
        (write_after_the_end, "wrote 'phase' after its end"),
        (leave_a_run_open, "a run has not ended"),
        (succeed_in_two_runs, "its runs ended as"),
        (skip_an_attempt, "its attempt is 3"),
        (take_the_reason_away, "no fault explains it"),
        (strike_another_slot, "no fault explains it"),
        (cancel_without_being_asked, "nobody asked for it"),
        (fail_before_the_limit, "after 0 crashes"),
        (preempt_for_nobody, "no job of a higher class was there"),
        (preempt_for_an_operator_who_did_not_ask, "the operator had not asked"),
        (start_a_trainer_twice, "second process of its attempt"),
        (let_two_trainers_overlap_on_a_slot, "before the end of"),
        (start_a_trainer_without_a_run, "has no run"),
        (let_a_trainer_go_on, "went on for"),
        (change_a_loss_in_the_journal, "the loss differs"),
        (change_a_loss_in_the_rows, "the loss differs"),
        (skip_a_step, "missing or double"),
        (skip_a_metric, "missing or double"),
        (lose_what_was_not_yet_in_the_database, "lacks the steps [3]"),
        (start_again_in_spite_of_a_checkpoint, "there was a checkpoint of 3"),
    ],
)
def test_each_violation_is_found(tmp_path: Path, spoil: Spoil, words: str) -> None:
    evidence = make_evidence(tmp_path)
    spoil(evidence)
    found = list(find_all(evidence))
    assert [sentence for sentence in found if words in sentence], found


@pytest.mark.parametrize(("wish", "is_explained"), [("pause", True), ("preempt", True), ("checkpoint", False)])
def test_a_request_explains_an_interruption(tmp_path: Path, wish: str, is_explained: bool) -> None:
    evidence = make_evidence(tmp_path)
    evidence.hits.clear()
    evidence.submitted[JOB].asked.add(wish)
    assert (list(checks.check_reasons(evidence)) == []) is is_explained


@pytest.mark.parametrize(("other", "is_explained"), [(PriorityClass.URGENT, True), (PriorityClass.LOW, False)])
def test_a_job_of_a_higher_class_explains_an_interruption(
    tmp_path: Path, other: PriorityClass, is_explained: bool
) -> None:
    evidence = make_evidence(tmp_path)
    preempt_for_nobody(evidence)
    evidence.hits.clear()
    evidence.jobs["job_2"] = make_job("job_2", other)
    found = [*checks.check_reasons(evidence), *checks.check_preemptions(evidence)]
    assert (found == []) is is_explained, found


def test_a_fault_shortly_before_a_run_explains_its_end(tmp_path: Path) -> None:
    evidence = make_evidence(tmp_path)
    evidence.hits[0].at = evidence.hits[0].until = 9
    assert list(find_all(evidence)) == []


def test_a_machine_that_stalled_explains_a_lost_worker(tmp_path: Path) -> None:
    evidence = make_evidence(tmp_path)
    evidence.runs[JOB, 1].cause, evidence.runs[JOB, 1].error_code = RunCause.CRASH, WORKER_LOST
    assert [sentence for sentence in find_all(evidence) if "no fault explains it" in sentence]
    watch = StallWatch(tmp_path / "stall-watch")
    with watch:
        watch.note(STALL_SECONDS - 1)
        watch.note(STALL_SECONDS + 1)
    (stall,) = watch.hits
    assert (stall.kind, stall.slot) == (MACHINE_STALLED, None)
    evidence.hits.append(replace(stall, at=12, until=19))
    assert list(find_all(evidence)) == []


def test_a_stopped_supervisor_may_be_late(tmp_path: Path) -> None:
    evidence = make_evidence(tmp_path)
    evidence.lives[0].last_at = 31
    assert [sentence for sentence in find_all(evidence) if "went on for" in sentence]
    evidence.hits.append(Hit("child_stopped", 12, 28, "slot-0", "pid 1"))
    assert list(find_all(evidence)) == []
