"""The status of a job and its allowed transitions; why a job is asked to stop, and why a run ended. Pure."""

from enum import StrEnum


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return not TRANSITIONS[self]


class StopKind(StrEnum):
    """Why a running job is asked to stop. A kind that is listed later overrides an earlier one."""

    PREEMPT = "preempt"
    PAUSE = "pause"
    CANCEL = "cancel"

    def outranks(self, other: "StopKind | None") -> bool:
        order = list(StopKind)
        return other is None or order.index(self) > order.index(other)


class RunCause(StrEnum):
    """Why a job is queued again after a run that ended early."""

    # The training process or its worker died: EMOTUNE_MAX_CRASHES counts these.
    CRASH = "crash"
    # The slot was needed or the worker was shut down. There is no limit on how often this may happen.
    INTERRUPTION = "interruption"
    # The GPU's memory was full, and a smaller batch is tried.
    SMALLER_BATCH = "smaller_batch"


TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.CANCELLED, JobStatus.FAILED}),
    JobStatus.RUNNING: frozenset(
        {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.QUEUED, JobStatus.PAUSED}
    ),
    JobStatus.PAUSED: frozenset({JobStatus.QUEUED, JobStatus.CANCELLED}),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}

FINAL_STATUSES = tuple(status for status in JobStatus if status.is_final)


def can_move(old: JobStatus, new: JobStatus) -> bool:
    """Whether a job may go from one status to another."""
    return new in TRANSITIONS[old]
