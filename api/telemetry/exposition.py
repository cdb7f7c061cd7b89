"""What `GET /metrics` reports to Prometheus: the API's requests, and the installation as the database has it now.

Workers report through the database, so there is one place to scrape.
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
    """Make the registry of all metrics. Reading it queries the database, and may raise SQLAlchemyError then."""
    registry = CollectorRegistry()
    keeper = CensusKeeper(database, seen_within_seconds=settings.worker_seen_seconds)
    registry.register(InstallationCollector(keeper, storage, needed_bytes=settings.min_free_disk_bytes))
    registry.register(meter)
    registry.register(ProcessesCollector())
    return registry


class ProcessesCollector(Collector):
    """The client library's `process_...`, of all processes of the API together.

    Memory, CPU time and open files are sums. The start is that of the first process, and the limit on open files is
    that of each.
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
    """List this process; where the API is several, also their parent and all others (cli/api.py)."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return [os.getpid()]
    return [parent.pid, *(child.pid for child in psutil.Process(parent.pid).children())]


class InstallationCollector(Collector):
    """Reports the installation from its database. All processes report the same, as nothing is counted here."""

    def __init__(self, keeper: CensusKeeper, storage: Storage, *, needed_bytes: int) -> None:
        self._keeper = keeper
        self._storage = storage
        self._needed_bytes = needed_bytes

    def collect(self) -> Iterable[Metric]:
        census = self._keeper.get_census()
        yield InfoMetricFamily("emotune_build", "The release of this API.", {"version": get_release()})
        yield from _report_teams(census.teams)
        yield from _report_failures(census)
        yield from _report_slots(census)
        yield from self._report_disk()

    def _report_disk(self) -> Iterator[Metric]:
        self._storage.root.mkdir(parents=True, exist_ok=True)
        disk = shutil.disk_usage(self._storage.root)
        yield GaugeMetricFamily(
            "emotune_data_disk_free_bytes", "Free bytes on the data folder's disk.", value=disk.free
        )
        yield GaugeMetricFamily("emotune_data_disk_size_bytes", "Size of the data folder's disk.", value=disk.total)
        yield GaugeMetricFamily(
            "emotune_data_disk_needed_bytes", "EMOTUNE_MIN_FREE_DISK_BYTES.", value=self._needed_bytes
        )


def _report_teams(teams: Iterable[TeamCount]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("emotune_jobs", "Jobs by status.", labels=["team", "status"])
    queue = GaugeMetricFamily(
        "emotune_queue_jobs", "Queued jobs: `waiting`, or `held` by the operator.", labels=["team", "state"]
    )
    wait = GaugeMetricFamily(
        "emotune_queue_oldest_wait_seconds",
        "Seconds since the oldest waiting job was posted; 0 where none waits.",
        labels=["team"],
    )
    used = CounterMetricFamily(
        "emotune_slot_seconds", "Seconds that runs have used slots, times the slots' sizes.", labels=["team"]
    )
    for team in teams:
        for status in JobStatus:
            jobs.add_metric([team.name, status], team.jobs[status])
        queue.add_metric([team.name, "waiting"], team.waiting_count)
        queue.add_metric([team.name, "held"], team.held_count)
        wait.add_metric([team.name], max(team.oldest_wait_seconds, 0.0))
        used.add_metric([team.name], team.slot_seconds)
    yield from (jobs, queue, wait, used)


def _report_failures(census: Census) -> Iterator[Metric]:
    for name, text, counts in (
        ("emotune_job_failures", "Jobs that have failed, by code (docs/errors.md).", census.failed_jobs),
        (
            "emotune_run_failures",
            "Runs that ended with an error; their jobs may have been retried.",
            census.failed_runs,
        ),
    ):
        family = CounterMetricFamily(name, text, labels=["code"])
        for code, count in counts.items():
            family.add_metric([code], count)
        yield family
    yield GaugeMetricFamily(
        "emotune_stale_runs",
        "Running jobs whose lease has expired. The next sweep ends them: above 0 for long, no housekeeping runs.",
        value=census.stale_run_count,
    )


def _report_slots(census: Census) -> Iterator[Metric]:
    info = InfoMetricFamily("emotune_slot", "What each slot is.", labels=["slot"])
    status = GaugeMetricFamily(
        "emotune_slot_status", "1 for the slot's current status, else 0.", labels=["slot", "status"]
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
    "emotune_slot_seen_age_seconds": "Seconds since the slot's worker was last seen.",
    "emotune_slot_drained": "1 while the slot is drained, which lets no new job start.",
    "emotune_slot_memory_bytes": "Memory of the GPU, or for a CPU of the machine.",
    "emotune_slot_memory_used_bytes": "Used memory of the GPU.",
    "emotune_slot_utilization_ratio": "How busy the GPU is, from 0 to 1.",
    "emotune_slot_temperature_celsius": "Temperature of the GPU.",
    "emotune_slot_power_watts": "Power draw of the GPU.",
    "emotune_job_tokens_per_second": "Training speed of the job that runs on the slot.",
}


def _read_slot(view: SlotView, census: Census) -> dict[str, float | None]:
    """Return the slot's values by the gauges' names, without those that are unknown or outdated."""
    slot = view.slot
    known: dict[str, float | None] = {
        "emotune_slot_seen_age_seconds": max((census.at - slot.seen_at).total_seconds(), 0.0),
        "emotune_slot_drained": slot.drained_at is not None,
        "emotune_slot_memory_bytes": slot.memory_bytes,
    }
    if view.status is SlotStatus.AWAY:
        # What it last reported is outdated.
        return known
    utilization = slot.utilization_percent
    return known | {
        "emotune_slot_memory_used_bytes": slot.memory_used_bytes,
        "emotune_slot_utilization_ratio": None if utilization is None else utilization / PERCENT,
        "emotune_slot_temperature_celsius": slot.temperature_celsius,
        "emotune_slot_power_watts": slot.power_watts,
        "emotune_job_tokens_per_second": None if view.job is None else view.job.tokens_per_second,
    }
