"""Priority classes: which jobs go before those of all teams' shares, and may take a slot from another: pure."""

from enum import StrEnum


class PriorityClass(StrEnum):
    """Jobs of a higher class go first, whatever the teams have used, and preempt running jobs of a lower one.

    `low` is for what may wait and be interrupted, `urgent` for teams that the operator has allowed it.
    """

    LOW = "low"
    NORMAL = "normal"
    URGENT = "urgent"

    @property
    def rank(self) -> int:
        """Higher goes first."""
        return _RANKS[self]


_RANKS = {priority_class: rank for rank, priority_class in enumerate(PriorityClass)}

# Highest first.
CLASSES = tuple(reversed(PriorityClass))
