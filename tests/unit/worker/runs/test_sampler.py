"""How the metrics of a run report the slot's GPU."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.database.engine import Database
from jobs.models import Metric
from jobs.runs.metrics import Cursor, read_metrics
from tests.support.gpus import GIB, IDLE_GPU, DeviceDouble
from tests.support.waiting import wait_for
from tests.unit.worker.conftest import MakeJob, fake_argv
from worker.resources import Resources
from worker.runs.sampler import GpuSampler, NoSampler, make_sampler
from worker.runs.turn import run_next
from worker.slot.gpu import DeviceReading

GPU_FIELDS = ("gpu_utilization_percent", "gpu_memory_used_bytes", "gpu_temperature_celsius", "gpu_power_watts")


def test_the_newest_sample_is_at_hand_while_a_run_is_on() -> None:
    device = DeviceDouble(IDLE_GPU)
    busy = replace(IDLE_GPU, utilization_percent=97.0, memory_used_bytes=20 * GIB)
    with GpuSampler(device, interval_seconds=0.01) as sampler:
        wait_for(lambda: sampler.newest == IDLE_GPU)
        device.reading = busy
        wait_for(lambda: sampler.newest == busy)
        device.failure = "GPU 0 can't be read: Timeout."
        wait_for(lambda: sampler.newest == DeviceReading())
        device.failure = None
        wait_for(lambda: sampler.newest == busy)


def test_a_cpu_slot_has_nothing_to_sample() -> None:
    sampler = make_sampler("cpu", DeviceDouble())
    assert isinstance(sampler, NoSampler)
    with sampler:
        assert sampler.newest == DeviceReading()


@pytest.mark.parametrize("device_kind", ["cpu", "cuda"])
def test_each_metric_of_a_run_tells_how_the_gpu_was(
    resources: Resources, database: Database, device: DeviceDouble, make_job: MakeJob, device_kind: str
) -> None:
    expected: dict[str, float | None] = dict.fromkeys(GPU_FIELDS)
    if device_kind == "cuda":
        device.reading = IDLE_GPU
        expected = dict(zip(GPU_FIELDS, (0.0, 0, 31.0, 70.5), strict=True))
    resources = replace(resources, settings=resources.settings.model_copy(update={"slot_device": device_kind}))
    job_id = make_job().id
    run_next(resources, fake_argv("succeed"))
    with database.read() as session:
        points = read_metrics(session, resources.stream, job_id=job_id, after=Cursor(), limit=100)
        assert session.query(Metric).count() == len(points) == 5
    assert [{name: point.values[name] for name in GPU_FIELDS} for point in points] == [expected] * 5
    assert points[0].values["loss"] == 4.0
    (path,) = Path(resources.settings.data_dir).glob("artifacts/*/metrics-1.jsonl")
    told = {name: value for name, value in expected.items() if value is not None}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [{name: line[name] for name in GPU_FIELDS if name in line} for line in lines] == [told] * 5
