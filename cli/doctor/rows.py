"""Checks of the database: its schema, its clock, and what its rows say about slots, runs and failures."""

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

# Failures of this period are reported.
RECENT = timedelta(days=1)
# How many names a finding lists.
MOST_NAMED = 5
# How many of its intervals a sweep may be late.
LATE_SWEEPS = 6


def check_database(database: Database) -> Finding:
    """Check that the database answers."""
    try:
        database.ping()
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        return fail("database", f"It doesn't answer: {cause}.", "Start it, or check EMOTUNE_DATABASE_URL.")
    return ok("database", f"{database.engine.dialect.name} answers.")


def check_schema(database: Database) -> Finding:
    """Check that the schema is that of this release, or compatible with it."""
    with database.engine.connect() as connection:
        current, mismatch = find_revision(connection), find_mismatch(connection)
    return judge_revision(current, mismatch)


def judge_revision(current: str | None, mismatch: str | None) -> Finding:
    """Judge the revision `current`; `mismatch` says why this release can't work with it, or is None."""
    known = get_known_schema()
    if current == known.head:
        return ok("schema", f"It is the schema of this release ({current}).")
    if current is None:
        return fail("schema", "There are no tables.", "emotune migrate")
    if current in known.revisions:
        scripts = ScriptDirectory.from_config(make_alembic_config())
        missing = sum(1 for _ in scripts.iterate_revisions(known.head, current))
        message = f"It is older ({current}) than this release ({known.head}) by {missing} migrations."
        return fail("schema", message, "emotune migrate, and then restart API and workers.")
    if mismatch is not None:
        return fail("schema", mismatch, "Install the newer release, or restore a backup: docs/operations.md, Upgrade.")
    message = f"It is of a newer release ({current}); this one ({get_release()}) works with it."
    return warn("schema", message, "Install the newer release here as well.")


def check_clock(database: Database) -> Finding:
    """Compare this host's clock with that of the database's host."""
    if database.is_sqlite:
        return ok("clock", "The database is a file of this machine, with the same clock.")
    with database.read() as session:
        before = utc_now()
        theirs: datetime = session.scalars(select(func.clock_timestamp())).one()
        after = utc_now()
    return judge_clock((before + (after - before) / 2 - theirs).total_seconds())


def judge_clock(ahead_seconds: float) -> Finding:
    """Judge by how many seconds this host's clock is ahead of the database's."""
    word = "ahead of" if ahead_seconds > 0 else "behind"
    message = f"This host is {abs(ahead_seconds):.1f} s {word} the database's."
    if abs(ahead_seconds) > CLOCK_MARGIN_SECONDS:
        return fail(
            "clock", message, "Set both by NTP: leases are points in time, and live runs may be taken for dead."
        )
    return ok("clock", message)


def check_slots(views: Sequence[SlotView], *, now: datetime) -> list[Finding]:
    """Check that a slot takes jobs, and report each one that doesn't."""
    able = [view.slot.name for view in views if view.status in (SlotStatus.IDLE, SlotStatus.RUNNING)]
    if able:
        summary = ok("slots", f"{len(able)} of {len(views)} take jobs: {_name(able)}.")
    else:
        advice = "Start a worker for each (`emotune worker`), or see the reasons below."
        summary = fail("slots", f"None of {len(views)} takes jobs.", advice)
    troubles = (find(view) for view in views for find in (partial(_find_trouble, now=now), _find_other_release))
    return [summary, *(finding for finding in troubles if finding is not None)]


def _find_other_release(view: SlotView) -> Finding | None:
    if not view.is_other_release or view.status is SlotStatus.AWAY:
        return None
    release = view.slot.emotune_version or "unknown"
    message = f"Its worker is of release {release}, and this is {get_release()}."
    return warn(f"slot {view.slot.name} release", message, "docs/operations.md, Upgrade: update workers one by one.")


def _find_trouble(view: SlotView, *, now: datetime) -> Finding | None:
    slot, check = view.slot, f"slot {view.slot.name}"
    age = now - slot.seen_at
    if age < -timedelta(seconds=CLOCK_MARGIN_SECONDS):
        message = f"It was last seen {-age.total_seconds():.0f} s in the future: the clock of {slot.host} differs."
        return fail(check, message, f"Set the clocks of {slot.host} and of this host by NTP.")
    match view.status:
        case SlotStatus.AWAY:
            message = f"Its worker on {slot.host} was last seen at {slot.seen_at:%Y-%m-%d %H:%M:%S} UTC."
            advice = f"Start it again on {slot.host}; if it is gone permanently, it is listed here for a week."
            return warn(check, message, advice)
        case SlotStatus.BLOCKED:
            if lacks_packages(slot):
                advice = f"Run it in the worker's Python on {slot.host}; the slot is then free within seconds."
                return fail(check, slot.blocked_reason or "", advice)
            advice = "docs/operations.md, What blocks a slot; it is free by itself when the reason is gone."
            return warn(check, slot.blocked_reason or "It is blocked.", advice)
        case SlotStatus.DRAINED:
            message = f"It has been drained since {slot.drained_at:%Y-%m-%d %H:%M} UTC."
            return warn(check, message, f"emotune slots resume {slot.name}, when it may take jobs again.")
        case SlotStatus.IDLE | SlotStatus.RUNNING:
            return None


def check_leases(session: Session, *, sweep_seconds: float, now: datetime) -> Finding:
    """Find runs that are dead and that no sweep has ended."""
    latest = now - timedelta(seconds=LATE_SWEEPS * sweep_seconds)
    statement = select(Job.id).where(Job.status == JobStatus.RUNNING, Job.lease_expires_at < latest).order_by(Job.id)
    stale = session.scalars(statement).all()
    if not stale:
        return ok("leases", "All dead runs have been ended.")
    message = f"{len(stale)} runs are dead and have not been ended: {_name(stale)}."
    return fail("leases", message, "Start the housekeeping: `emotune worker --housekeeping`.")


def check_failures(session: Session, *, now: datetime) -> Finding:
    """Count the runs that ended with a fault recently, by code."""
    statement = (
        select(Run.error_code, func.count())
        .where(Run.ended_at >= now - RECENT, Run.error_code.is_not(None))
        .group_by(Run.error_code)
    )
    counts: Mapping[str, int] = {code: count for code, count in session.execute(statement) if code is not None}
    if not counts:
        return ok("failures", "No run has ended with a fault within a day.")
    codes = sorted(counts, key=lambda code: (-counts[code], code))
    shown = _name([f"{code} ({counts[code]})" for code in codes])
    advice = find_advice(codes[0]) or "See docs/errors.md of the workers' release."
    return warn("failures", f"Runs that ended with a fault within a day: {shown}.", f"{codes[0]}: {advice}")


def _name(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:MOST_NAMED])
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED} more"
