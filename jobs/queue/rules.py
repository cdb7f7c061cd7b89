"""QueueRules: the operator's settings by which the queue is ordered."""

from dataclasses import dataclass

from jobs.settings import DAY_SECONDS, Settings


@dataclass(frozen=True)
class QueueRules:
    """Times in seconds; jobs/settings.py describes them and has the same defaults."""

    usage_half_life_seconds: float = DAY_SECONDS
    entry_penalty_seconds: float = 60.0
    quota_window_seconds: float = 7 * DAY_SECONDS
    low_wait_seconds: float = 7 * DAY_SECONDS
    seen_seconds: float = 30.0

    @classmethod
    def of(cls, settings: Settings) -> "QueueRules":
        return cls(
            usage_half_life_seconds=settings.usage_half_life_seconds,
            entry_penalty_seconds=settings.entry_penalty_seconds,
            quota_window_seconds=settings.quota_window_seconds,
            low_wait_seconds=settings.low_wait_seconds,
            seen_seconds=settings.worker_seen_seconds,
        )
