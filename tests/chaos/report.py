"""The results of an experiment as a table."""

from collections.abc import Mapping

from tests.chaos.experiment import Outcome

MAX_VIOLATIONS = 60


def format_outcome(outcome: Outcome) -> str:
    """Format the jobs, the faults by kind, the ends of runs, and the violations."""
    hit_count = sum(outcome.hits.values())
    lines = [
        f"\n=== {outcome.database}, seed {outcome.seed}, {outcome.seconds:.0f} s in all",
        *_format_counts("jobs", outcome.jobs_by_status),
        *_format_counts("runs by their end", outcome.runs_by_end),
        *_format_counts(f"faults that hit ({hit_count})", outcome.hits),
        *_format_counts("faults with nothing to hit", outcome.missed),
        *(f"  {name}: {value}" for name, value in outcome.facts.items()),
        f"violations: {len(outcome.violations)}",
        *(f"  ! {violation}" for violation in outcome.violations[:MAX_VIOLATIONS]),
    ]
    return "\n".join(lines)


def _format_counts(title: str, counts: Mapping[str, int]) -> list[str]:
    return [f"{title}:", *(f"  {name:<32} {count:>5}" for name, count in sorted(counts.items()))]
