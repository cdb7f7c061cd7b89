"""Priority classes: jobs of a higher class run first, regardless of shares, and may preempt others. Pure."""

from enum import StrEnum


class PriorityClass(StrEnum):
    """Jobs of a higher class go first, whatever the teams have used, and preempt running jobs of a lower class.

    `low` is for jobs that may wait and be interrupted, `urgent` for teams that the operator allows to use it.
    """

    LOW = "low"
    NORMAL = "normal"
    URGENT = "urgent"

    @property
    def rank(self) -> int:
        """A number for comparing classes: the higher one goes first."""
        return _RANKS[self]


_RANKS = {priority_class: rank for rank, priority_class in enumerate(PriorityClass)}

# Highest first.
CLASSES = tuple(reversed(PriorityClass))
