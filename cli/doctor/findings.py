"""Finding: what one check has found, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """How it is with what was looked at. The words are for programs and stay."""

    OK = "ok"
    # It works, but not as it should, or not for long.
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """The result of one check: a fact, and advice where something is to be mended."""

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
    """Of all of them."""
    order = list(Health)
    return max((finding.health for finding in findings), key=order.index, default=Health.OK)
