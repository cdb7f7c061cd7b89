"""A running stack as the integration tests handle it: submit, watch, and break a part of it."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cli.client import Client
from cli.credentials import Credentials
from cli.processes import Process, start_process
from cli.stack import STOP_SECONDS, Stack, make_environment
from jobs.settings import Settings
from tests.support.brakes import Brake
from tests.support.waiting import wait_for

SAMPLE_CHATS = Path(__file__).parents[2] / "samples" / "chats.jsonl"

WAIT_SECONDS = 60.0
POLL_SECONDS = 0.1

Json = dict[str, Any]

SHORT_CONFIG: Json = {"max_steps": 6, "batch_size": 2, "lora_rank": 4, "max_length": 64}
# More steps than any test waits for: such a run is always ended from outside.
ENDLESS_CONFIG: Json = SHORT_CONFIG | {"max_steps": 10_000_000}


def make_settings(data_dir: Path, database_url: str | None, tiny_gemma: Path, *, lease_seconds: float) -> Settings:
    """The settings of a stack with frequent heartbeats, so that a lost worker is noticed soon."""
    return Settings(
        data_dir=data_dir,
        database_url=database_url,
        base_models={"tiny-gemma": str(tiny_gemma)},
        port=0,
        host_name="box-a",
        min_free_disk_bytes=0,
        heartbeat_seconds=0.5,
        metric_flush_seconds=0.5,
        lease_seconds=lease_seconds,
        sweep_seconds=1,
        worker_seen_seconds=3,
        stop_grace_seconds=10,
        kill_grace_seconds=3,
        trainer_threads=1,
        # Only what is about spares pays for their imports.
        spare_trainer=False,
    )


@dataclass
class Installation:
    """A stack, a client with a key, a dataset to train on, and a brake if there is one on what trains."""

    stack: Stack
    client: Client
    dataset_id: str
    found_brake: Brake | None = None

    @property
    def brake(self) -> Brake:
        assert self.found_brake is not None, "this installation was started without a brake"
        return self.found_brake

    def submit(self, config: Json, *, name: str = "tune") -> str:
        request = {"dataset_id": self.dataset_id, "base_model": "tiny-gemma", "config": config, "name": name}
        job_id: str = self.client.create_job(request)["id"]
        return job_id

    def wait_for_status(self, job_id: str, *statuses: str) -> Json:
        return self.wait_for_job(job_id, lambda job: job["status"] in statuses)

    def wait_for_step(self, job_id: str, *, attempt: int = 1) -> Json:
        """Wait until the run has reported a step."""
        return self.wait_for_job(
            job_id, lambda job: job["status"] == "running" and job["attempt"] == attempt and job["step"] > 0
        )

    def wait_for_job(self, job_id: str, condition: Callable[[Json], bool]) -> Json:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            job = self.client.get_job(job_id)
            if condition(job):
                return job
            assert time.monotonic() < deadline, f"it did not happen in time; the job is {job}"
            time.sleep(POLL_SECONDS)

    def list_metrics(self, job_id: str) -> list[Json]:
        items: list[Json] = []
        after: str | None = None
        while True:
            page = self.client.read_metrics(job_id, after)
            if not page["items"]:
                return items
            items += page["items"]
            after = page["next_cursor"]

    def check_curve(self, job_id: str) -> None:
        """Check an ended job that logged each step: no step is missing, and no run reported one twice."""
        metrics = self.list_metrics(job_id)
        steps = {metric["step"] for metric in metrics}
        assert steps == set(range(1, max(steps) + 1))
        assert len({(metric["attempt"], metric["step"]) for metric in metrics}) == len(metrics)

    def get_slot(self) -> Process:
        return self.stack.get_process(self.stack.settings.slot)

    def list_trainers(self, data_dir: Path | None = None) -> list[psutil.Process]:
        """The living training processes of this stack, or of a host with a folder of its own, also those whose worker
        has died.
        """
        folder = (data_dir or self.stack.settings.data_dir) / "runs"
        return [process for process in _list_emomodel() if folder in _find_folder(process).parents]

    def list_spares(self) -> list[psutil.Process]:
        """The living spare processes of this stack, which have no request yet."""
        folder = self.stack.settings.data_dir
        return [process for process in _list_emomodel() if _find_folder(process) == folder]

    def ask_the_held(self, job_id: str, verb: str) -> None:
        """Ask for a stop of a running job that the brake holds, and let go when its training has been asked, too."""
        (trainer,) = self.list_trainers()
        self.client.ask_of_job(job_id, verb)
        log_path = self.get_slot().log_path
        wait_for(lambda: any(_reports_stop(line, trainer.pid) for line in log_path.read_text().splitlines()))
        self.brake.release()

    def kill_slot_worker(self) -> None:
        self.kill_worker(self.get_slot())

    def stop_slot_worker(self) -> float:
        """Send SIGTERM to the worker's main process; returns the seconds that it took to end."""
        slot = self.get_slot()
        began = time.monotonic()
        slot.popen.send_signal(signal.SIGTERM)
        slot.popen.wait(WAIT_SECONDS)
        self._forget(slot)
        return time.monotonic() - began

    def start_slot_worker(self) -> None:
        settings = self.stack.settings
        self.stack._start(settings.slot, "worker", stop_seconds=settings.stop_grace_seconds + STOP_SECONDS)

    def start_worker_of_host(self, host_name: str, *, slot: str | None = None, data_dir: Path | None = None) -> Process:
        """Start a worker as another host would: with the same settings, and its own host name, slot or folder."""
        settings = self.stack.settings
        environment = os.environ | make_environment(settings) | {"EMOTUNE_HOST_NAME": host_name}
        if data_dir is not None:
            environment |= {"EMOTUNE_DATA_DIR": str(data_dir), "EMOTUNE_REDIS_URL": settings.redis_client_url}
        del environment["EMOTUNE_SLOT"]
        if slot is not None:
            environment["EMOTUNE_SLOT"] = slot
        worker = start_process(
            host_name,
            [sys.executable, "-m", "cli", "worker"],
            # The log of this start alone, for a test that reads its lines.
            log_path=settings.data_dir / "logs" / f"{host_name}-{time.monotonic_ns()}.log",
            environment=environment,
            stop_seconds=settings.stop_grace_seconds + STOP_SECONDS,
        )
        self.stack.processes.append(worker)
        return worker

    def kill_worker(self, worker: Process) -> None:
        """Send SIGKILL to the main process; the kernel then kills its pool's process, which supervises the run."""
        worker.popen.kill()
        self._forget(worker)

    def get_slots(self) -> dict[str, Json]:
        return {slot["name"]: slot for slot in self.client.list_slots()}

    def wait_for_slot(self, name: str, condition: Callable[[Json], bool]) -> Json:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            slot = self.get_slots().get(name)
            if slot is not None and condition(slot):
                return slot
            assert time.monotonic() < deadline, f"it did not happen in time; the slot is {slot}"
            time.sleep(POLL_SECONDS)

    def kill_valkey(self) -> None:
        valkey = self.stack.get_process("valkey")
        valkey.popen.kill()
        self._forget(valkey)

    def start_valkey(self) -> None:
        self.stack._start_valkey()
        # The stack stops its first process last, and that has to be Valkey.
        self.stack.processes.insert(0, self.stack.processes.pop())

    def end(self) -> None:
        """Kill training processes that a failed test left: a stack whose worker was killed doesn't know them."""
        for process in self.list_trainers():
            if process.ppid() == 1:
                process.kill()

    def _forget(self, process: Process) -> None:
        process.popen.wait()
        self.stack.processes.remove(process)


def _reports_stop(line: str, pid: int) -> bool:
    return "trainer_stops" in line and f"pid={pid}" in line


def _list_emomodel() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            command, status = process.cmdline(), process.status()
        except psutil.Error:
            continue
        if command[:1] == [sys.executable] and "emomodel" in command and status != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def _find_folder(process: psutil.Process) -> Path:
    """The folder that a process works in: a training process in that of its run. The root for one that has ended."""
    try:
        return Path(process.cwd())
    except psutil.Error:
        return Path("/")


@contextmanager
def run_installation(settings: Settings, brake: Brake) -> Iterator[Installation]:
    """A running stack with a client of its first key and a dataset. The brake's variables are in the environment."""
    with Stack(settings) as stack, Client(Credentials(url=stack.url, api_key=stack.api_key)) as client:
        dataset = client.upload_dataset(SAMPLE_CHATS, "chats")
        installation = Installation(stack, client, dataset["id"], brake)
        yield installation
        installation.end()
