"""Finding: what one check has found, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """The result of a check. The values are for programs and don't change."""

    OK = "ok"
    # It works, but not as it should, or not for much longer.
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """The result of one check: a fact, and advice if something has to be fixed."""

    check: str
    health: Health
    message: str
    advice: str | None = None


def ok(check: str, message: str) -> Finding:
    return Finding(check, Health.OK, message)


def warn(check: str, message: str, advice: str) -> Finding:
    return Finding(check, Health.WARNING, message, advice)


def fail(check: str, message: str, advice: str) -> Finding:
    return Finding(check, Health.FAILED, message, advice)


def get_worst(findings: Sequence[Finding]) -> Health:
    """Return the worst health of the findings, OK without any."""
    order = list(Health)
    return max((finding.health for finding in findings), key=order.index, default=Health.OK)
