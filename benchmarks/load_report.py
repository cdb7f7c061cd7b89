"""The results of a load test as a table, and the goals that were missed."""

import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.load_clients import Result
from jobs.settings import MIB

DatabaseKind = Literal["postgresql", "sqlite"]

# The limit of the 99th percentile of all polls, in multiples of that of the bare read.
MOST_TIMES = 10.0
# The limit of the growth of the API's memory from the second quarter to the last. In the first, pools and caches fill.
MOST_GROWTH = 0.05
SAMPLE_SECONDS = 1.0


@dataclass(frozen=True)
class Size:
    """How much load there is, and for how long."""

    database: DatabaseKind
    seconds: float
    pollers: int
    uploaders: int
    api_processes: int


@dataclass(frozen=True)
class Seen:
    """What was measured in a run."""

    clients: Result
    rss_bytes: list[int]
    api_cores: float
    job_count: int
    step_count: int
    restarted: list[str]


def merge(results: Sequence[Result]) -> Result:
    whole = Result()
    for result in results:
        for kind, seconds in result.seconds.items():
            whole.seconds.setdefault(kind, []).extend(seconds)
        whole.errors += result.errors
        whole.lags += result.lags
        whole.not_modified_count += result.not_modified_count
        whole.uploaded_bytes += result.uploaded_bytes
        whole.metric_count += result.metric_count
    return whole


def describe(size: Size, seen: Seen) -> Iterator[str]:
    """Yield the lines of the table."""
    clients = seen.clients
    yield (
        f"{size.database}, {size.seconds:.0f} s, {size.pollers} pollers, {size.uploaders} uploaders, "
        f"{seen.job_count} jobs with {seen.step_count / size.seconds:.0f} steps/s, {os.cpu_count()} cores"
    )
    yield f"{'':<10} {'count':>7} {'per s':>7} {'median':>9} {'p95':>9} {'p99':>9} {'max':>9}"
    rows = {"all polls": list_polls(clients), **{kind: clients.seconds[kind] for kind in sorted(clients.seconds)}}
    for kind, seconds in rows.items():
        figures = (statistics.median(seconds), find_percentile(seconds, 95), find_percentile(seconds, 99), max(seconds))
        times = " ".join(f"{1000 * each:6.1f} ms" for each in figures)
        yield f"{kind:<10} {len(seconds):7} {len(seconds) / size.seconds:7.1f} {times}"
    yield (
        f"304: {clients.not_modified_count / max(len(clients.seconds['overview']), 1):.0%} of the overviews; "
        f"metrics reported: {clients.metric_count}; uploaded: {clients.uploaded_bytes / MIB:.0f} MiB; "
        f"the API's {size.api_processes} processes took {seen.api_cores:.2f} cores"
    )
    yield f"the clients' event loops were late by {1000 * find_percentile(clients.lags, 99):.1f} ms (p99)"
    yield f"p99 of the polls: {find_times(clients):.1f} times the bare read's, allowed under {MOST_TIMES:g}"
    earlier, later, trend = measure_memory(seen.rss_bytes)
    yield (
        f"the API's memory: {earlier / MIB:.1f} MiB in the second quarter, {later / MIB:.1f} in the last "
        f"({later / earlier - 1:+.1%}, allowed {MOST_GROWTH:+.0%}); {trend / MIB:+.2f} MiB a minute after the first"
    )


def judge(seen: Seen) -> Iterator[str]:
    """Yield a line for each goal that was missed."""
    errors = seen.clients.errors
    if errors:
        yield f"MISSED: {len(errors)} errors, such as {errors[:3]}"
    if seen.restarted:
        yield f"MISSED: processes ended by themselves: {', '.join(seen.restarted)}"
    if not seen.step_count:
        yield "MISSED: no job made a step"
    if find_times(seen.clients) >= MOST_TIMES:
        yield f"MISSED: polls take {find_times(seen.clients):.1f} times as long as a bare read"
    earlier, later, _ = measure_memory(seen.rss_bytes)
    if later > earlier * (1 + MOST_GROWTH):
        yield f"MISSED: the API's memory grew by {later / earlier - 1:.1%}"


def list_polls(clients: Result) -> list[float]:
    return [each for kind in ("job", "overview", "metrics") for each in clients.seconds[kind]]


def find_times(clients: Result) -> float:
    """The 99th percentile of the polls as a multiple of that of the bare read."""
    return find_percentile(list_polls(clients), 99) / find_percentile(clients.seconds["bare"], 99)


def find_percentile(seconds: Sequence[float], percent: int) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


def measure_memory(rss_bytes: Sequence[int]) -> tuple[float, float, float]:
    """The means of the second and the last quarter, and the growth a minute of a line fitted from the second one on."""
    quarter = len(rss_bytes) // 4
    rest = rss_bytes[quarter:]
    minutes = [number * SAMPLE_SECONDS / 60 for number in range(len(rest))]
    slope = statistics.linear_regression(minutes, rest).slope
    return statistics.fmean(rest[:quarter]), statistics.fmean(rest[-quarter:]), slope
