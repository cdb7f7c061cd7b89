"""What `GET /metrics` tells Prometheus: the requests of this process, and the installation as its rows are at that
moment. Workers tell of themselves through the rows, so there is one place to scrape.
"""

import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator

import psutil
from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from api.telemetry.request_meter import RequestMeter
from jobs.database.engine import Database
from jobs.files.storage import Storage
from jobs.release import get_release
from jobs.runs.slots import SlotStatus, SlotView
from jobs.settings import Settings
from jobs.status import JobStatus
from jobs.telemetry.census import Census, CensusKeeper, TeamCount

PERCENT = 100


def make_registry(settings: Settings, database: Database, storage: Storage, meter: RequestMeter) -> CollectorRegistry:
    """All that is told; reading it asks the database. Raises sqlalchemy.exc.SQLAlchemyError then."""
    registry = CollectorRegistry()
    keeper = CensusKeeper(database, seen_within_seconds=settings.worker_seen_seconds)
    registry.register(InstallationCollector(keeper, storage, needed_bytes=settings.min_free_disk_bytes))
    registry.register(meter)
    registry.register(ProcessesCollector())
    return registry


class ProcessesCollector(Collector):
    """The client library's `process_...`, of all processes of the API together.

    Memory, CPU time and open files are sums. The start is that of the first process, and the bound on open files is of
    each.
    """

    def collect(self) -> Iterable[Metric]:
        totals: dict[str, Metric] = {}
        for pid in _list_processes():
            for family in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
                total = totals.setdefault(family.name, family)
                if total is not family:
                    [mine], [sample] = total.samples, family.samples
                    combine = min if family.name in _NO_SUMS else sum
                    total.samples = [mine._replace(value=combine((mine.value, sample.value)))]
        return totals.values()


_NO_SUMS = frozenset({"process_start_time_seconds", "process_max_fds"})


def _list_processes() -> list[int]:
    """This one; of several also the one that watches over them, and all others (cli/api.py)."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return [os.getpid()]
    return [parent.pid, *(child.pid for child in psutil.Process(parent.pid).children())]


class InstallationCollector(Collector):
    """All processes that serve one database tell the same: nothing is counted here."""

    def __init__(self, keeper: CensusKeeper, storage: Storage, *, needed_bytes: int) -> None:
        self._keeper = keeper
        self._storage = storage
        self._needed_bytes = needed_bytes

    def collect(self) -> Iterable[Metric]:
        census = self._keeper.get_census()
        yield InfoMetricFamily("emotune_build", "The release that answers.", {"version": get_release()})
        yield from _tell_teams(census.teams)
        yield from _tell_failures(census)
        yield from _tell_slots(census)
        yield from self._tell_disk()

    def _tell_disk(self) -> Iterator[Metric]:
        self._storage.root.mkdir(parents=True, exist_ok=True)
        disk = shutil.disk_usage(self._storage.root)
        yield GaugeMetricFamily("emotune_data_disk_free_bytes", "Free on the data folder's disk.", value=disk.free)
        yield GaugeMetricFamily("emotune_data_disk_size_bytes", "Of the data folder's disk.", value=disk.total)
        yield GaugeMetricFamily(
            "emotune_data_disk_needed_bytes", "EMOTUNE_MIN_FREE_DISK_BYTES.", value=self._needed_bytes
        )


def _tell_teams(teams: Iterable[TeamCount]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("emotune_jobs", "Jobs by status.", labels=["team", "status"])
    queue = GaugeMetricFamily(
        "emotune_queue_jobs", "Queued jobs: `waiting`, or `held` by the operator.", labels=["team", "state"]
    )
    wait = GaugeMetricFamily(
        "emotune_queue_oldest_wait_seconds",
        "Since the oldest of the waiting jobs was posted; 0 where none waits.",
        labels=["team"],
    )
    used = CounterMetricFamily(
        "emotune_slot_seconds", "What runs have used of the slots, times the slots' sizes.", labels=["team"]
    )
    for team in teams:
        for status in JobStatus:
            jobs.add_metric([team.name, status], team.jobs[status])
        queue.add_metric([team.name, "waiting"], team.waiting_count)
        queue.add_metric([team.name, "held"], team.held_count)
        wait.add_metric([team.name], max(team.oldest_wait_seconds, 0.0))
        used.add_metric([team.name], team.slot_seconds)
    yield from (jobs, queue, wait, used)


def _tell_failures(census: Census) -> Iterator[Metric]:
    for name, text, counts in (
        ("emotune_job_failures", "Jobs that have failed, by code (docs/errors.md).", census.failed_jobs),
        ("emotune_run_failures", "Runs that ended with a fault; their jobs may have gone on.", census.failed_runs),
    ):
        family = CounterMetricFamily(name, text, labels=["code"])
        for code, count in counts.items():
            family.add_metric([code], count)
        yield family
    yield GaugeMetricFamily(
        "emotune_stale_runs",
        "Running jobs whose lease is over. The next sweep ends them: more than none for long is no housekeeping.",
        value=census.stale_run_count,
    )


def _tell_slots(census: Census) -> Iterator[Metric]:
    info = InfoMetricFamily("emotune_slot", "What each slot is.", labels=["slot"])
    status = GaugeMetricFamily(
        "emotune_slot_status", "1 for what the slot is doing, else 0.", labels=["slot", "status"]
    )
    for view in census.slots:
        slot = view.slot
        info.add_metric([slot.name], {"host": slot.host, "device": slot.device, "gpu": slot.gpu_name or ""})
        for each in SlotStatus:
            status.add_metric([slot.name, each], each is view.status)
    yield from (info, status)
    for name, text in _SLOT_GAUGES.items():
        gauge = GaugeMetricFamily(name, text, labels=["slot"])
        for view in census.slots:
            value = _read_slot(view, census).get(name)
            if value is not None:
                gauge.add_metric([view.slot.name], value)
        yield gauge


_SLOT_GAUGES = {
    "emotune_slot_seen_age_seconds": "Since the slot's worker was last heard of.",
    "emotune_slot_drained": "1 where the operator wants no new jobs.",
    "emotune_slot_memory_bytes": "Of the GPU, or of the machine for a CPU.",
    "emotune_slot_memory_used_bytes": "Of the GPU.",
    "emotune_slot_utilization_ratio": "How busy the GPU is, from 0 to 1.",
    "emotune_slot_temperature_celsius": "Of the GPU.",
    "emotune_slot_power_watts": "Of the GPU.",
    "emotune_job_tokens_per_second": "How fast the job trains that runs on the slot.",
}


def _read_slot(view: SlotView, census: Census) -> dict[str, float | None]:
    """By the gauges' names; what isn't known, or is of the past, is left out."""
    slot = view.slot
    known: dict[str, float | None] = {
        "emotune_slot_seen_age_seconds": max((census.at - slot.seen_at).total_seconds(), 0.0),
        "emotune_slot_drained": slot.drained_at is not None,
        "emotune_slot_memory_bytes": slot.memory_bytes,
    }
    if view.status is SlotStatus.AWAY:
        # What it last said is of the past.
        return known
    utilization = slot.utilization_percent
    return known | {
        "emotune_slot_memory_used_bytes": slot.memory_used_bytes,
        "emotune_slot_utilization_ratio": None if utilization is None else utilization / PERCENT,
        "emotune_slot_temperature_celsius": slot.temperature_celsius,
        "emotune_slot_power_watts": slot.power_watts,
        "emotune_job_tokens_per_second": None if view.job is None else view.job.tokens_per_second,
    }
