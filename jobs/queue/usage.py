"""What teams use: charging runs, advances for waiting jobs, and the current standing of each team."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from jobs.models import Job, Run, Team
from jobs.queue.rules import QueueRules
from jobs.queue.shares import Account, Standing, price_entry, reserve
from jobs.status import JobStatus


def lock_team(session: Session, *, team_id: str) -> Team:
    """Lock the team's row and read it again: only the holder may change the account or count the team's jobs."""
    # The weaker lock, which lets others write rows that refer to the team.
    statement = select(Team).where(Team.id == team_id).with_for_update(key_share=True)
    return session.scalars(statement.execution_options(populate_existing=True)).one()


def get_account(team: Any) -> Account:
    """The account of a Team, or of a row with its columns."""
    return Account(team.usage_seconds, team.advance_seconds, team.usage_at, team.usage_half_life_seconds)


def charge_run(session: Session, *, job_id: str, attempt: int, now: datetime) -> None:
    """Charge a run that ends now to its team, and settle the job's advance. Call it once for each run."""
    run = session.execute(
        select(Run.team_id, Run.started_at, Run.slot_size).where(Run.job_id == job_id, Run.attempt == attempt)
    ).one()
    seconds = max((now - run.started_at).total_seconds(), 0.0) * run.slot_size
    session.execute(update(Run).where(Run.job_id == job_id, Run.attempt == attempt).values(slot_seconds=seconds))
    team = lock_team(session, team_id=run.team_id)
    account = get_account(team).add_run(started_at=run.started_at, ended_at=now, size=run.slot_size)
    _keep(team, account)
    settle_advance(session, job_id=job_id, now=now)


def expect_run(job: Job) -> float:
    """Seconds that the job's next run will take, by the job's estimate and its checkpoint."""
    expected = job.expected_seconds or 0.0
    if job.checkpoint_step and job.total_steps:
        return expected * max(1 - job.checkpoint_step / job.total_steps, 0.0)
    return expected


def price_job(session: Session, *, team_id: str, rules: QueueRules, now: datetime) -> float:
    """The advance, in slot seconds, for a job that the team posts now (shares.price_entry)."""
    if not rules.entry_penalty_seconds:
        return 0.0
    standings = load_standings(session, rules=rules, now=now)
    own = standings.pop(team_id)
    has_jobs = select(Job.team_id).where(Job.status.in_([JobStatus.QUEUED, JobStatus.RUNNING])).distinct()
    busy = standings.keys() & set(session.scalars(has_jobs))
    # When no team has jobs, those that have used the slots before may come back.
    most = sorted(standings.values(), key=lambda each: each.charged)[-1:]
    rivals = [standings[each] for each in busy] or most
    return price_entry(own, rivals, penalty=rules.entry_penalty_seconds)


def pay_advance(session: Session, team: Team, job: Job, *, rules: QueueRules, now: datetime) -> None:
    """Charge the advance of a job that is posted now. The caller has locked the team."""
    keep_half_life(team, rules=rules, now=now)
    job.prepaid_seconds = price_job(session, team_id=team.id, rules=rules, now=now)
    _keep(team, get_account(team).add_advance(job.prepaid_seconds, now=now))


def settle_advance(session: Session, *, job_id: str, now: datetime) -> None:
    """Give back what remains of a job's advance when its first run has ended, or it ends without one. Idempotent."""
    job = session.execute(select(Job.team_id, Job.prepaid_seconds, Job.created_at).where(Job.id == job_id)).one()
    if not job.prepaid_seconds:
        return
    team = lock_team(session, team_id=job.team_id)
    _keep(team, get_account(team).settle_advance(job.prepaid_seconds, paid_at=job.created_at, now=now))
    session.execute(update(Job).where(Job.id == job_id).values(prepaid_seconds=0.0))


def keep_half_life(team: Team, *, rules: QueueRules, now: datetime) -> None:
    """Let the account decay by the present setting from now on; until now it has decayed by the previous one."""
    if team.usage_half_life_seconds != rules.usage_half_life_seconds:
        _keep(team, get_account(team).as_of(now))
        team.usage_half_life_seconds = rules.usage_half_life_seconds


def renew_half_lives(session: Session, *, rules: QueueRules, now: datetime) -> None:
    """Apply keep_half_life to all teams, after the setting was changed."""
    stale = Team.usage_half_life_seconds != rules.usage_half_life_seconds
    for team_id in session.scalars(select(Team.id).where(stale).order_by(Team.id)).all():
        keep_half_life(lock_team(session, team_id=team_id), rules=rules, now=now)
    session.flush()


# Selects columns instead of objects, because it runs at every claim.
_SELECT_TEAMS = select(
    Team.id,
    Team.weight,
    Team.max_running,
    Team.max_slot_seconds,
    Team.usage_seconds,
    Team.advance_seconds,
    Team.usage_at,
    Team.usage_half_life_seconds,
)
_SELECT_RUNNING = (
    select(Run.team_id, Run.started_at, Run.expected_seconds, Run.slot_size)
    .join(Job, (Job.id == Run.job_id) & (Job.attempt == Run.attempt))
    .where(Job.status == JobStatus.RUNNING)
)


def load_standings(
    session: Session, *, rules: QueueRules, now: datetime, with_windows: bool = False
) -> dict[str, Standing]:
    """The standing of each team, by its id; running jobs count with their expected usage.

    The usage within the quota's window is read only for teams with such a quota, unless `with_windows`.
    """
    standings = {}
    for row in session.execute(_SELECT_TEAMS):
        account = get_account(row).as_of(now)
        standings[row.id] = Standing(
            team_id=row.id,
            weight=row.weight,
            usage_seconds=account.usage_seconds,
            advance_seconds=account.advance_seconds,
            max_running=row.max_running,
            max_slot_seconds=row.max_slot_seconds,
        )
    _add_running(session, standings, rules, now)
    bound = [each.team_id for each in standings.values() if with_windows or each.max_slot_seconds is not None]
    if bound:
        _add_ended(session, standings, bound, rules, now)
    return standings


def _add_running(session: Session, standings: dict[str, Standing], rules: QueueRules, now: datetime) -> None:
    for run in session.execute(_SELECT_RUNNING):
        standing = standings[run.team_id]
        standing.running_count += 1
        standing.usage_seconds += reserve(
            started_at=run.started_at,
            expected_seconds=run.expected_seconds,
            size=run.slot_size,
            now=now,
            half_life=rules.usage_half_life_seconds,
        )
        elapsed = max((now - run.started_at).total_seconds(), 0.0)
        standing.window_seconds += max(elapsed, run.expected_seconds) * run.slot_size


def _add_ended(
    session: Session, standings: dict[str, Standing], bound: list[str], rules: QueueRules, now: datetime
) -> None:
    """Add the usage within the window. A run counts completely while its start is in the window."""
    since = now - timedelta(seconds=rules.quota_window_seconds)
    statement = (
        select(Run.team_id, func.sum(Run.slot_seconds))
        .where(Run.team_id.in_(bound), Run.started_at >= since, Run.slot_seconds.is_not(None))
        .group_by(Run.team_id)
    )
    for team_id, seconds in session.execute(statement):
        standings[team_id].window_seconds += seconds or 0.0


def _keep(team: Team, account: Account) -> None:
    team.usage_seconds, team.advance_seconds, team.usage_at = account.usage_seconds, account.advance_seconds, account.at
