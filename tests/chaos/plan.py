"""The plan: which faults happen when and where, all of it from one seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

# The mean time between two faults.
MEAN_GAP_SECONDS = 1.5
# The first jobs have been posted by then.
FIRST_FAULT_SECONDS = 1.5


@dataclass(frozen=True)
class FaultKind:
    """A kind of fault: its weight relative to the other kinds, and how long it lasts, in seconds."""

    name: str
    weight: int
    shortest: float = 0.0
    longest: float = 0.0


# The suite's lease lasts 6 s: some stops are shorter, some longer.
COMMON_KINDS = (
    FaultKind("trainer_killed", 8),
    FaultKind("trainer_terminated", 3),
    FaultKind("child_killed", 4),
    FaultKind("worker_killed", 6),
    FaultKind("worker_terminated", 6),
    FaultKind("worker_stopped", 4, 1.0, 12.0),
    FaultKind("child_stopped", 4, 1.0, 12.0),
    FaultKind("trainer_stopped", 4, 0.5, 4.0),
    FaultKind("spare_killed", 4),
    FaultKind("spare_stopped", 3, 0.5, 12.0),
    FaultKind("housekeeping_killed", 3),
    FaultKind("api_killed", 2),
    FaultKind("redis_wiped", 3),
    FaultKind("disk_filled", 2, 1.0, 4.0),
    FaultKind("worker_cannot_write", 2, 0.5, 3.0),
    FaultKind("trainer_cannot_write", 2, 0.5, 3.0),
    FaultKind("clock_stepped", 2),
    FaultKind("second_worker", 3, 4.0, 8.0),
    FaultKind("rebooted", 1, 0.5, 2.0),
    FaultKind("doorbells_doubled", 3),
    FaultKind("doorbells_lost", 4),
)
POSTGRES_KINDS = (FaultKind("database_restarted", 4, 0.0, 3.0), FaultKind("database_crashed", 2, 0.0, 3.0))
SQLITE_KINDS = (FaultKind("database_locked", 5, 0.5, 9.0),)
# Longer than a SQLite connection waits, or than a training process may be silent, and so too long for a short run.
LONG_KINDS = (FaultKind("trainer_stalled", 1, 62.0, 66.0),)
LONG_SQLITE_KINDS = (FaultKind("database_locked_long", 1, 31.0, 34.0),)
LONG_RUN_SECONDS = 300.0


@dataclass(frozen=True)
class PlannedFault:
    """One fault: its time (seconds after the first job), its kind, its slot, and how long it lasts."""

    at: float
    kind: str
    slot: int
    seconds: float


def list_kinds(*, is_sqlite: bool, seconds: float) -> list[FaultKind]:
    """List the kinds of faults for a database and a duration of the run."""
    kinds = [*COMMON_KINDS, *(SQLITE_KINDS if is_sqlite else POSTGRES_KINDS)]
    if seconds < LONG_RUN_SECONDS:
        return kinds
    return [*kinds, *LONG_KINDS, *(LONG_SQLITE_KINDS if is_sqlite else ())]


def make_plan(seed: int, *, seconds: float, slot_count: int, kinds: Sequence[FaultKind]) -> list[PlannedFault]:
    """Plan the faults of a run that lasts `seconds`. The same arguments give the same plan."""
    chance = random.Random(seed)
    weights = [kind.weight for kind in kinds]
    plan = []
    at = FIRST_FAULT_SECONDS
    while at < seconds:
        kind = chance.choices(kinds, weights)[0]
        plan.append(
            PlannedFault(at, kind.name, chance.randrange(slot_count), chance.uniform(kind.shortest, kind.longest))
        )
        at += chance.expovariate(1 / MEAN_GAP_SECONDS)
    return plan
