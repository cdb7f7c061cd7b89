"""Checks of the database: its schema, its clock, and what the rows tell of slots, runs and failures."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from alembic.script import ScriptDirectory
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cli.doctor.findings import Finding, fail, ok, warn
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.database.schema import find_mismatch, find_revision, get_known_schema, make_alembic_config
from jobs.models import Job, Run
from jobs.release import get_release
from jobs.runs.failure_codes import find_advice
from jobs.runs.slots import SlotStatus, SlotView, lacks_packages
from jobs.status import JobStatus
from jobs.telemetry.census import CLOCK_MARGIN_SECONDS

# What is said of failures is of so long.
RECENT = timedelta(days=1)
# So many are named.
MOST_NAMED = 5
# A sweep may be late by so many of its intervals.
LATE_SWEEPS = 6


def check_database(database: Database) -> Finding:
    """Whether it answers."""
    try:
        database.ping()
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        return fail("database", f"It doesn't answer: {cause}.", "Start it, or check EMOTUNE_DATABASE_URL.")
    return ok("database", f"{database.engine.dialect.name} answers.")


def check_schema(database: Database) -> Finding:
    """Whether its tables are those of this release, or such that it works with them."""
    with database.engine.connect() as connection:
        current, mismatch = find_revision(connection), find_mismatch(connection)
    return judge_revision(current, mismatch)


def judge_revision(current: str | None, mismatch: str | None) -> Finding:
    """`mismatch`: why this release can't work with it, where that is so."""
    known = get_known_schema()
    if current == known.head:
        return ok("schema", f"It is that of this release ({current}).")
    if current is None:
        return fail("schema", "There are no tables.", "emotune migrate")
    if current in known.revisions:
        scripts = ScriptDirectory.from_config(make_alembic_config())
        missing = sum(1 for _ in scripts.iterate_revisions(known.head, current))
        message = f"It is older ({current}) than this release ({known.head}) by {missing} migrations."
        return fail("schema", message, "emotune migrate, and then start API and workers anew.")
    if mismatch is not None:
        return fail("schema", mismatch, "There is no way back but a backup; docs/operations.md, Upgrade.")
    message = f"It is of a newer release ({current}); this one ({get_release()}) works with it."
    return warn("schema", message, "Install the newer release here, too.")


def check_clock(database: Database) -> Finding:
    """This host's against that of the database's host."""
    if database.is_sqlite:
        return ok("clock", "The database is a file of this machine, with the same clock.")
    with database.read() as session:
        before = utc_now()
        theirs: datetime = session.scalars(select(func.clock_timestamp())).one()
        after = utc_now()
    return judge_clock((before + (after - before) / 2 - theirs).total_seconds())


def judge_clock(ahead_seconds: float) -> Finding:
    """`ahead_seconds`: by so much this host's clock is ahead."""
    word = "ahead of" if ahead_seconds > 0 else "behind"
    message = f"This host is {abs(ahead_seconds):.1f} s {word} the database's."
    if abs(ahead_seconds) > CLOCK_MARGIN_SECONDS:
        return fail("clock", message, "Let NTP set both: leases are points in time, and live runs are taken for dead.")
    return ok("clock", message)


def check_slots(views: Sequence[SlotView], *, now: datetime) -> list[Finding]:
    """Whether any slot takes jobs, and each one that doesn't."""
    able = [view.slot.name for view in views if view.status in (SlotStatus.IDLE, SlotStatus.RUNNING)]
    if able:
        summary = ok("slots", f"{len(able)} of {len(views)} take jobs: {_name(able)}.")
    else:
        advice = "Start a worker for each (`emotune worker`), or see below what keeps them."
        summary = fail("slots", f"None of {len(views)} takes jobs.", advice)
    troubles = (find(view) for view in views for find in (partial(_find_trouble, now=now), _find_other_release))
    return [summary, *(finding for finding in troubles if finding is not None)]


def _find_other_release(view: SlotView) -> Finding | None:
    if not view.is_other_release or view.status is SlotStatus.AWAY:
        return None
    release = view.slot.emotune_version or "that is too old to tell"
    message = f"Its worker is of release {release}, and this is {get_release()}."
    return warn(f"slot {view.slot.name} release", message, "docs/operations.md, Upgrade: update workers one by one.")


def _find_trouble(view: SlotView, *, now: datetime) -> Finding | None:
    slot, check = view.slot, f"slot {view.slot.name}"
    age = now - slot.seen_at
    if age < -timedelta(seconds=CLOCK_MARGIN_SECONDS):
        message = f"It was last heard of {-age.total_seconds():.0f} s in the future: {slot.host} has another time."
        return fail(check, message, f"Let NTP set the clocks of {slot.host} and of this host.")
    match view.status:
        case SlotStatus.AWAY:
            message = f"Its worker on {slot.host} was last heard of at {slot.seen_at:%Y-%m-%d %H:%M:%S} UTC."
            advice = f"Start it again on {slot.host}; if it is gone for good, it is named here for a week."
            return warn(check, message, advice)
        case SlotStatus.BLOCKED:
            if lacks_packages(slot):
                advice = f"Run it in the worker's Python on {slot.host}; the slot is then free within seconds."
                return fail(check, slot.blocked_reason or "", advice)
            advice = "docs/operations.md, What blocks a slot; it is free by itself when the reason is gone."
            return warn(check, slot.blocked_reason or "It is blocked.", advice)
        case SlotStatus.DRAINED:
            message = f"It is drained since {slot.drained_at:%Y-%m-%d %H:%M} UTC."
            return warn(check, message, f"emotune slots resume {slot.name}, when it may take jobs again.")
        case SlotStatus.IDLE | SlotStatus.RUNNING:
            return None


def check_leases(session: Session, *, sweep_seconds: float, now: datetime) -> Finding:
    """Runs that are dead, and that no sweep has ended."""
    latest = now - timedelta(seconds=LATE_SWEEPS * sweep_seconds)
    statement = select(Job.id).where(Job.status == JobStatus.RUNNING, Job.lease_expires_at < latest).order_by(Job.id)
    stale = session.scalars(statement).all()
    if not stale:
        return ok("leases", "No run is dead without having been ended.")
    message = f"{len(stale)} runs are dead, and nobody has ended them: {_name(stale)}."
    return fail("leases", message, "Start the housekeeping: `emotune worker --housekeeping`.")


def check_failures(session: Session, *, now: datetime) -> Finding:
    """The runs that ended with a fault lately, by code."""
    statement = (
        select(Run.error_code, func.count())
        .where(Run.ended_at >= now - RECENT, Run.error_code.is_not(None))
        .group_by(Run.error_code)
    )
    counts: Mapping[str, int] = {code: count for code, count in session.execute(statement) if code is not None}
    if not counts:
        return ok("failures", "No run has ended with a fault within a day.")
    codes = sorted(counts, key=lambda code: (-counts[code], code))
    told = _name([f"{code} ({counts[code]})" for code in codes])
    advice = find_advice(codes[0]) or "docs/errors.md of the workers' release knows it."
    return warn("failures", f"Runs that ended with a fault within a day: {told}.", f"{codes[0]}: {advice}")


def _name(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:MOST_NAMED])
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED} more"
