"""What a team may post. What it may run at a time is looked at when a slot takes a job (jobs/queue/turns.py)."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.errors import PriorityClassTooHigh, QuotaExceeded
from jobs.models import Job, Slot, Team
from jobs.priorities import PriorityClass
from jobs.status import JobStatus


def check_class(team: Team, priority_class: PriorityClass) -> None:
    """Raises PriorityClassTooHigh."""
    if priority_class.rank > team.max_priority_class.rank:
        raise PriorityClassTooHigh(
            f"your team may post jobs up to the class {team.max_priority_class.value!r}; the operator can raise that.",
            field="priority_class",
        )


def check_quotas(session: Session, team: Team, *, expected_seconds: float) -> None:
    """Refuse a job that could never run, and one too many. The caller has locked the team. Raises QuotaExceeded."""
    if team.max_running == 0:
        raise QuotaExceeded("your team's quota lets no job run (max_running is 0).")
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
                f"{waiting_count} of {team.max_queued} jobs of your team wait already. Cancel one, or let one start."
            )
