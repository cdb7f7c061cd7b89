"""The quotas that are checked when a job is posted.

Those for running jobs are checked at the claim (jobs/queue/turns.py).
"""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.errors import PriorityClassTooHigh, QuotaExceeded
from jobs.models import Job, Slot, Team
from jobs.priorities import PriorityClass
from jobs.status import JobStatus


def check_class(team: Team, priority_class: PriorityClass) -> None:
    """Check that the team may use the priority class. Raises PriorityClassTooHigh."""
    if priority_class.rank > team.max_priority_class.rank:
        raise PriorityClassTooHigh(
            f"your team may post jobs up to the class {team.max_priority_class.value!r}; "
            "the operator can raise this limit.",
            field="priority_class",
        )


def check_quotas(session: Session, team: Team, *, expected_seconds: float) -> None:
    """Refuse a job that could never run, or that exceeds max_queued. The caller has locked the team.

    Raises QuotaExceeded.
    """
    if team.max_running == 0:
        raise QuotaExceeded("your team's quota allows no job to run (max_running is 0).")
    if team.max_slot_seconds is not None:
        sizes = session.scalars(select(Slot.size)).all()
        needed = expected_seconds * min(sizes, default=1.0)
        if team.max_slot_seconds == 0 or needed > team.max_slot_seconds:
            raise QuotaExceeded(
                f"the job would take about {needed:,.0f} slot seconds, and your team's quota is "
                f"{team.max_slot_seconds:,.0f}: it could never run."
            )
    if team.max_queued is not None:
        statement = select(func.count()).select_from(Job).where(Job.status == JobStatus.QUEUED, Job.team_id == team.id)
        waiting_count = session.scalar(statement) or 0
        if waiting_count >= team.max_queued:
            raise QuotaExceeded(
                f"{waiting_count} of {team.max_queued} jobs of your team are waiting already. "
                "Cancel one, or wait until one starts."
            )
