"""The checks: each yields a sentence for each thing that must not be. None of them asks the service."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from jobs.models import Run
from jobs.runs.reaping import WORKER_LOST
from jobs.status import FINAL_STATUSES, JobStatus, RunCause
from tests.chaos.evidence import Evidence
from tests.chaos.journal import Life
from tests.chaos.stalls import MACHINE_STALLED
from worker.housekeeping.sweeper import HIGHER_CLASS

Check = Callable[[Evidence], Iterator[str]]

FINAL_KINDS = frozenset(status.value for status in FINAL_STATUSES)
# What a run's worker writes itself: after the run's end it must be silent.
RUN_KINDS = frozenset({"running", "phase", "plan", "notice", "checkpoint"})

WORKER_FAULTS = frozenset(
    {
        "child_killed",
        "worker_killed",
        "worker_stopped",
        "child_stopped",
        "rebooted",
        "clock_stepped",
        "database_restarted",
        "database_crashed",
        "database_locked",
        "database_locked_long",
        "worker_cannot_write",
        MACHINE_STALLED,
    }
)
TRAINER_FAULTS = frozenset(
    {
        "trainer_killed",
        "trainer_stalled",
        "trainer_cannot_write",
        "worker_cannot_write",
        "disk_filled",
        "rebooted",
        MACHINE_STALLED,
    }
)
WRITE_FAULTS = frozenset({"trainer_cannot_write", "worker_cannot_write"})
SUPERVISOR_STOPS = frozenset({"worker_stopped", "child_stopped", MACHINE_STALLED})
# What a team or the operator asks for that takes a job off its slot and keeps it.
LEAVE_WISHES = frozenset({"pause", "preempt"})
LEAVE_FAULTS = frozenset({"worker_terminated", "second_worker", "trainer_terminated"})

# From a run's end on its row until its process is gone. Its supervisor notices at its next heartbeat; where it doesn't
# reach the database, when it counts its lease as over. The rest is for a busy machine.
LATE_SECONDS = 4.0


def check_ends(evidence: Evidence) -> Iterator[str]:
    """Each accepted job has ended once; nobody else's job is there."""
    accepted = evidence.submitted.keys()
    yield from (f"{job_id} was accepted and is lost" for job_id in accepted - evidence.jobs.keys())
    yield from (f"{job_id} is there and nobody posted it" for job_id in evidence.jobs.keys() - accepted)
    for job_id, job in evidence.jobs.items():
        if not job.status.is_final:
            yield f"{job_id} has not ended: it is {job.status}, attempt {job.attempt}"
            continue
        kinds = [event.kind for event in evidence.events[job_id]]
        ends = [kind for kind in kinds if kind in FINAL_KINDS]
        if ends != [job.status.value]:
            yield f"{job_id} is {job.status}, and its events tell of these ends: {ends}"
        elif kinds[-1] not in FINAL_KINDS:
            yield f"{job_id}: after its end came the event {kinds[-1]}"


def check_runs(evidence: Evidence) -> Iterator[str]:
    """Attempts count from 1, each has ended, the last as the job did and no other for good."""
    for job_id, job in evidence.jobs.items():
        runs = evidence.list_runs(job_id)
        if [run.attempt for run in runs] != list(range(1, job.attempt + 1)):
            yield f"{job_id}: its runs are {[run.attempt for run in runs]}, its attempt is {job.attempt}"
        outcomes = [run.outcome for run in runs]
        if None in outcomes:
            yield f"{job_id}: a run has not ended: {outcomes}"
        final = [outcome for outcome in outcomes if outcome in FINAL_KINDS]
        ended_while_waiting = job.status is JobStatus.CANCELLED and not final
        if job.status.is_final and not ended_while_waiting and outcomes[-1:] + final != [job.status.value] * 2:
            yield f"{job_id} is {job.status}, and its runs ended as {outcomes}"


def check_reasons(evidence: Evidence) -> Iterator[str]:
    """A cancelled job was to be cancelled; a crash, an interruption and a failure have a fault that explains them."""
    limit = evidence.settings.max_crashes
    for job_id, job in evidence.jobs.items():
        submitted = evidence.submitted.get(job_id)
        if job.status is JobStatus.CANCELLED and submitted is not None and "cancel" not in submitted.asked:
            yield f"{job_id} was cancelled, and nobody asked for it"
        runs = evidence.list_runs(job_id)
        for run in runs:
            yield from _check_reason(evidence, run)
        crash_count = sum(run.cause is RunCause.CRASH or run.outcome == JobStatus.FAILED for run in runs)
        if job.status is JobStatus.FAILED and crash_count != limit:
            yield f"{job_id} failed with {job.error_code} after {crash_count} crashes; {limit} are allowed"


def _check_reason(evidence: Evidence, run: Run) -> Iterator[str]:
    if run.error_code is not None:
        kinds = WORKER_FAULTS if run.error_code == WORKER_LOST else TRAINER_FAULTS
    elif run.cause is RunCause.INTERRUPTION:
        submitted = evidence.submitted.get(run.job_id)
        if (submitted is not None and submitted.asked & LEAVE_WISHES) or _is_outranked(evidence, run):
            return
        kinds = LEAVE_FAULTS
    else:
        return
    if evidence.find_hit(run, kinds) is None:
        yield (
            f"attempt {run.attempt} of {run.job_id} on {run.slot} ended as {run.outcome} by {run.cause} with "
            f"{run.error_code}, {run.started_at:%H:%M:%S.%f} to {run.ended_at:%H:%M:%S.%f}, and no fault explains it"
        )


def _is_outranked(evidence: Evidence, run: Run) -> bool:
    """Whether there was a job of a higher class that may have waited while this run lasted."""
    own = evidence.jobs[run.job_id].priority_class
    return any(
        job.priority_class.rank > own.rank
        and (run.ended_at is None or job.created_at <= run.ended_at)
        and (job.finished_at is None or job.finished_at >= run.started_at)
        for job in evidence.jobs.values()
    )


def check_preemptions(evidence: Evidence) -> Iterator[str]:
    """A run is preempted for the operator, who has asked for it, or for a job of a higher class."""
    for job_id, events in evidence.events.items():
        submitted = evidence.submitted.get(job_id)
        for event in events:
            run = evidence.runs.get((job_id, event.attempt))
            if event.kind != "preempt_requested" or run is None or submitted is None:
                continue
            is_for_class = event.message.startswith(HIGHER_CLASS)
            if is_for_class and not _is_outranked(evidence, run):
                yield f"attempt {event.attempt} of {job_id} was preempted, and no job of a higher class was there"
            if not is_for_class and "preempt" not in submitted.asked:
                yield f"attempt {event.attempt} of {job_id} was preempted, and the operator had not asked for it"


def check_fences(evidence: Evidence) -> Iterator[str]:
    """What a run writes comes before its end, and before the next run's beginning."""
    for job_id, events in evidence.events.items():
        ended = 0
        for event in events:
            if event.kind in RUN_KINDS and event.attempt <= ended:
                yield f"{job_id}: attempt {event.attempt} wrote {event.kind!r} after its end"
            if event.kind in FINAL_KINDS or event.kind in ("requeued", "paused"):
                ended = event.attempt


def check_trainers(evidence: Evidence) -> Iterator[str]:
    """By the journal: one process an attempt, one at a time on a slot, none much longer than its run."""
    seen: set[tuple[str, int]] = set()
    by_slot: dict[str, list[int]] = {}
    for index, life in enumerate(evidence.lives):
        run = evidence.runs.get((life.job_id, life.attempt))
        if run is None:
            yield f"{life.describe()} has no run"
            continue
        if (life.job_id, life.attempt) in seen:
            yield f"{life.describe()} is the second process of its attempt"
        seen.add((life.job_id, life.attempt))
        by_slot.setdefault(run.slot, []).append(index)
        if run.ended_at is not None:
            ended_at = run.ended_at.timestamp()
            late = life.last_at + evidence.clock_offset - ended_at
            if late > _get_allowance(evidence, run.slot, ended_at):
                yield f"{life.describe()} went on for {late:.1f} s after its run's end"
    for slot, indices in by_slot.items():
        for first, second in pairwise(evidence.lives[index] for index in indices):
            overlap = first.last_at - second.started_at
            if overlap > 0:
                yield f"on {slot} {second.describe()} began {overlap:.2f} s before the end of {first.describe()}"


def _get_allowance(evidence: Evidence, slot: str, ended_at: float) -> float:
    """A stopped supervisor can stop nobody until it goes on."""
    stops = [
        hit.until - ended_at
        for hit in evidence.hits
        if hit.kind in SUPERVISOR_STOPS and hit.slot in (slot, None) and hit.at <= ended_at <= hit.until
    ]
    return max(stops, default=0.0) + evidence.settings.lease_seconds + LATE_SECONDS


def check_curves(evidence: Evidence) -> Iterator[str]:
    """Journal and rows: each loss is the twin's at that step, and no step is left out."""
    for job_id, submitted in evidence.submitted.items():
        twin = evidence.twins[submitted.course]
        for life in evidence.lives:
            if life.job_id == job_id:
                has_gaps = _may_have_gaps(evidence, life)
                yield from _compare(f"the journal of {life.describe()}", life.losses, twin, has_gaps=has_gaps)
        for (owner, attempt), rows in evidence.metrics.items():
            if owner == job_id:
                curve = [(row.values["step"], row.values["loss"]) for row in rows]
                yield from _compare(f"the metrics of attempt {attempt} of {job_id}", curve, twin)
                if [row.seq for row in rows] != list(range(1, len(rows) + 1)):
                    yield f"attempt {attempt} of {job_id} has the metrics {[row.seq for row in rows]}"
        reported = {
            row.values["step"] for (owner, _), rows in evidence.metrics.items() if owner == job_id for row in rows
        }
        job = evidence.jobs.get(job_id)
        if job is not None and job.status is JobStatus.SUCCEEDED and twin.keys() - reported:
            yield f"the curve of {job_id} lacks the steps {sorted(twin.keys() - reported)}"


def check_progress(evidence: Evidence) -> Iterator[str]:
    """A run resumes from the newest checkpoint that existed when it began, and loses nothing of it."""
    by_job: dict[str, list[Life]] = {}
    for life in evidence.lives:
        by_job.setdefault(life.job_id, []).append(life)
    for lives in by_job.values():
        for life in lives:
            run = evidence.runs.get((life.job_id, life.attempt))
            if run is None or not life.losses:
                continue
            began_at = run.started_at.timestamp() - evidence.clock_offset
            earlier = [
                step
                for other in lives
                if other.attempt < life.attempt
                for at, step in other.checkpoints
                if at < began_at
            ]
            first_step = life.losses[0][0]
            if first_step <= max(earlier, default=0):
                yield f"{life.describe()} began with step {first_step}, and there was a checkpoint of {max(earlier)}"


def _may_have_gaps(evidence: Evidence, life: Life) -> bool:
    """A process that may not write can't keep its journal either."""
    run = evidence.runs.get((life.job_id, life.attempt))
    return run is not None and evidence.find_hit(run, WRITE_FAULTS) is not None


def _compare(
    what: str, curve: list[tuple[int, float]], twin: dict[int, float], *, has_gaps: bool = False
) -> Iterator[str]:
    steps = [step for step, _ in curve]
    if steps and not has_gaps and steps != list(range(steps[0], steps[0] + len(steps))):
        yield f"{what}: a step is missing or double: {steps}"
    wrong = [step for step, loss in curve if twin.get(step) != loss]
    if wrong:
        yield f"{what}: the loss differs from the twin's from step {wrong[0]} on ({len(wrong)} steps)"


CHECKS: tuple[Check, ...] = (
    check_ends,
    check_runs,
    check_reasons,
    check_preemptions,
    check_fences,
    check_trainers,
    check_curves,
    check_progress,
)
