"""Why a job waits: a stable code and a sentence."""

from dataclasses import dataclass
from enum import StrEnum

from jobs.queue.board import Board, HeldJob
from jobs.queue.forecast import Place, WaitingJob
from jobs.queue.rules import QueueRules
from jobs.queue.shares import Standing
from jobs.settings import DAY_SECONDS, GIB


class WaitCode(StrEnum):
    """The reasons for which a job waits. Programs depend on these words, so they don't change."""

    HELD = "held"
    NO_SLOT = "no_slot"
    NO_CUDA_SLOT = "no_cuda_slot"
    NO_MEMORY = "no_memory"
    QUOTA_RUNNING = "quota_running"
    QUOTA_SLOT_SECONDS = "quota_slot_seconds"
    STARTING = "starting"
    BEHIND_TEAM = "behind_team"
    BEHIND_PINNED = "behind_pinned"
    BEHIND_CLASS = "behind_class"
    OVER_SHARE = "over_share"
    NO_FREE_SLOT = "no_free_slot"


@dataclass(frozen=True)
class WaitReason:
    """Why a job waits: a code for programs, a sentence for people."""

    code: WaitCode
    message: str


def explain(board: Board, place: Place | HeldJob, *, rules: QueueRules, is_own: bool = True) -> WaitReason:
    """The reason that has to disappear first. With `is_own` the message is for the job's own team."""
    if isinstance(place, HeldJob):
        return WaitReason(WaitCode.HELD, f"held by the operator: {place.reason or 'no reason given'}")
    return (
        _explain_slots(board, place.job)
        or _explain_quotas(board.standings[place.job.team_id], rules)
        or _explain_order(place, "your team" if is_own else "its team")
    )


def _explain_slots(board: Board, job: WaitingJob) -> WaitReason | None:
    """The reason why no open slot could run the job, or None where one could."""
    offers = [slot.offer for slot in board.slots if slot.is_open]
    if any(job.fits(offer) for offer in offers):
        return None
    obstacles = [slot.obstacle.rstrip(".") for slot in board.slots if slot.obstacle and job.fits(slot.offer)]
    blocked = f": {obstacles[0]}" if obstacles else ""
    if not offers:
        why = blocked or ": no worker was seen recently, or all slots are drained"
        return WaitReason(WaitCode.NO_SLOT, f"no slot is open{why}")
    if job.needs_cuda and all(offer.device == "cpu" for offer in offers):
        return WaitReason(WaitCode.NO_CUDA_SLOT, f"no CUDA slot is open{blocked}")
    known = [needed for needed in (job.cuda_memory_bytes, job.cpu_memory_bytes) if needed is not None]
    needed_gib = min(known, default=0) / GIB
    return WaitReason(WaitCode.NO_MEMORY, f"no open slot has {needed_gib:.1f} GiB of memory for it{blocked}")


def _explain_quotas(standing: Standing, rules: QueueRules) -> WaitReason | None:
    if standing.max_running is not None and standing.running_count >= standing.max_running:
        message = f"quota: {standing.running_count} of {standing.max_running} jobs run"
        return WaitReason(WaitCode.QUOTA_RUNNING, message)
    if not standing.may_run:
        days = rules.quota_window_seconds / DAY_SECONDS
        message = (
            f"quota: {standing.window_seconds:,.0f} of {standing.max_slot_seconds:,.0f} slot seconds are used "
            f"within {days:g} days"
        )
        return WaitReason(WaitCode.QUOTA_SLOT_SECONDS, message)
    return None


def _explain_order(place: Place, team: str) -> WaitReason:
    if place.starts_in == 0:
        return WaitReason(WaitCode.STARTING, "a slot is free for it")
    if place.team_ahead:
        return WaitReason(WaitCode.BEHIND_TEAM, f"behind {_count(place.team_ahead)} of {team}")
    if place.pinned_ahead and place.job.pinned_rank is None:
        return WaitReason(
            WaitCode.BEHIND_PINNED, f"behind {_count(place.pinned_ahead)} that the operator has moved to the front"
        )
    if place.class_ahead:
        return WaitReason(WaitCode.BEHIND_CLASS, f"behind {_count(place.class_ahead)} of a higher priority class")
    ahead = (place.position or 1) - 1
    if ahead and place.job.pinned_rank is None:
        return WaitReason(
            WaitCode.OVER_SHARE, f"behind {_count(ahead)} of teams that have used less of their share than {team}"
        )
    return WaitReason(WaitCode.NO_FREE_SLOT, "no slot is free")


def _count(number: int) -> str:
    return f"{number} job" if number == 1 else f"{number:,} jobs"
