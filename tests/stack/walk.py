"""What teams and an operator do with an installation, and what it has to survive meanwhile."""

import hashlib
import json
import math
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from cli.client import Client
from cli.credentials import Credentials
from cli.processes import Process, start_process
from jobs.settings import MIB
from tests.stack.machine import MARK_VARIABLE, MODEL, Machine
from tests.stack.report import Report
from tests.stack.stack import Stack, StackFailed
from tests.support.brakes import Brake
from tests.support.containers import ROOT
from tests.support.tiny_base import SCRIPT

Json = dict[str, Any]

SAMPLE = ROOT / "samples" / "chats.jsonl"
TEAMS = ("reds", "blues")
# Its key is an operator's, too.
OPERATORS = "reds"
SLOTS = ("worker-0", "worker-1")
# nginx takes bodies of 1 MB unless it is configured otherwise.
UPLOAD_BYTES = 3 * MIB
WAIT_SECONDS = 240.0
POLL_SECONDS = 0.1
STREAM_SECONDS = 30.0
# Long enough for all that is done meanwhile: with the pause a training does at most 16 steps a second.
PAUSE_SECONDS = 3.0
CONFIG: Json = {"max_steps": 250, "batch_size": 2, "lora_rank": 4, "max_length": 64, "checkpoint_every": 10}
SHORT_CONFIG = CONFIG | {"max_steps": 6}


class Walk:
    """Use `run` once, on a machine where nothing runs yet."""

    def __init__(self, machine: Machine, report: Report) -> None:
        self.stack = Stack(machine)
        self._machine = machine
        self._report = report
        self._open = ExitStack()
        self._brakes: dict[str, Brake] = {}
        self._clients: dict[str, Client] = {}
        self._keys: dict[str, str] = {}
        self._datasets: dict[str, str] = {}
        self._jobs: dict[str, str] = {}

    def run(self) -> None:
        """Raises StackFailed."""
        with self._open:
            for slot in SLOTS:
                brake = self._open.enter_context(Brake(self._machine.folder / f"brake-{slot}"))
                self._machine.extra_environment[slot] = brake.variables
                brake.release(pause_seconds=PAUSE_SECONDS)
                self._brakes[slot] = brake
            self._start()
            self._use()
            self._survive()
            self._end()

    def _start(self) -> None:
        base_model = self._start_making_base_model()
        with self._report.step("docker compose up, in the order of its conditions") as notes:
            notes += [f"{name} {seconds:.1f} s" for name, seconds in self.stack.up()]
        with self._report.step("a base model, made meanwhile"):
            self._check(base_model.popen.wait(WAIT_SECONDS) == 0, base_model.log_path)
        with self._report.step("emotune keys create for two teams"):
            for team in TEAMS:
                self._clients[team] = self._make_client(team)
        with self._report.step("emotune doctor") as notes:
            self._examine(notes)

    def _use(self) -> None:
        with self._report.step("upload through nginx, one file above its default bound") as notes:
            large = self._machine.folder / "large.jsonl"
            sample = SAMPLE.read_bytes()
            large.write_bytes(sample * (UPLOAD_BYTES // len(sample) + 1))
            notes.append(f"{large.stat().st_size / MIB:.1f} MiB")
            self._clients["reds"].upload_dataset(large, "large")
            self._datasets = {team: self._clients[team].upload_dataset(SAMPLE, "chats")["id"] for team in TEAMS}
        with self._report.step("a job of each team, both slots run at once"):
            for team in TEAMS:
                self._jobs[team] = self._post(team, CONFIG)
            self._wait(lambda: all(self._get(team)["step"] > 0 for team in TEAMS), "both trainings run")
            busy = {slot["name"]: slot["status"] for slot in self._clients[OPERATORS].list_slots()}
            self._check(busy == dict.fromkeys(SLOTS, "running"), busy)
        with self._report.step("follow a job's metrics as server-sent events through nginx") as notes:
            self._follow("reds", notes)
        with self._report.step("log in to the dashboard with a cookie, and change something by it"):
            self._log_in()

    def _survive(self) -> None:
        with self._report.step("Redis emptied (FLUSHALL): both trainings go on"):
            self.stack.ask_valkey("FLUSHALL")
            before = {team: self._get(team)["step"] for team in TEAMS}
            self._wait(lambda: all(self._get(team)["step"] > before[team] for team in TEAMS), "both go on")
        # The other one doesn't end before the power fails, however long this takes.
        self._brakes[self._find_slot("reds")].pause_seconds = math.inf
        with self._report.step("docker compose stop of a worker: its run saves, and its job waits") as notes:
            slot = self._find_slot("blues")
            notes.append(f"{slot} left after {self.stack.stop(slot):.1f} s")
            job = self._get("blues")
            self._check(job["status"] == "queued" and job["checkpoint"] is not None, job)
            notes.append(f"checkpoint of step {job['checkpoint']['step']}")
        with self._report.step("docker compose up again: the job resumes from there"):
            self.stack.up()
            self._wait(lambda: self._get_last_run("blues")["resumed_step"] == job["checkpoint"]["step"], "it goes on")
        with self._report.step("a third job, Redis emptied, and SIGKILL to all, as when the power fails") as notes:
            self._jobs["late"] = self._post("reds", SHORT_CONFIG)
            self.stack.ask_valkey("FLUSHALL")
            self._check({self._get(team)["status"] for team in TEAMS} == {"running"}, self._jobs)
            notes.append(f"{self.stack.kill()} processes")
        for brake in self._brakes.values():
            brake.pause_seconds = 0.0
        with self._report.step("docker compose up after it") as notes:
            notes += [f"{name} {seconds:.1f} s" for name, seconds in self.stack.up()]
        with self._report.step("the jobs that were cut off go on by themselves, and succeed") as notes:
            for team in TEAMS:
                self._wait(partial(self._has_succeeded, team), f"the job of {team} succeeds")
                *_, cut_off, last = self._clients[team].list_runs(self._jobs[team])
                notes.append(f"attempt {last['attempt']} of {team} from step {last['resumed_step']}")
                self._check(cut_off["error"]["code"] == "worker_lost" and last["resumed_step"] > 0, (cut_off, last))
                self._check_curve(team)
        with self._report.step("the third job's bundle, in two parts by Range, through nginx") as notes:
            self._wait(partial(self._has_succeeded, "late"), "the third job succeeds")
            self._download("late", notes)

    def _end(self) -> None:
        with self._report.step("each health check of docker-compose.yml once more") as notes:
            notes += self.stack.check_all()
        with self._report.step("docker compose down, each within its stop_grace_period"):
            self.stack.down()

    def _start_making_base_model(self) -> Process:
        """It takes some seconds, and is not needed at once."""
        return start_process(
            "base-model",
            [sys.executable, str(SCRIPT), str(self._machine.models_folder / MODEL)],
            log_path=self._machine.get_log("base-model"),
            environment=os.environ | {MARK_VARIABLE: str(self._machine.folder)},
            stop_seconds=0,
        )

    def _make_client(self, team: str) -> Client:
        options = ["--operator"] if team == OPERATORS else []
        printed = self.stack.run("api", "keys", "create", "--team", team, "--name", "walk", *options)
        self._keys[team] = printed.split()[-1]
        return self._open.enter_context(Client(Credentials(url=self._machine.url, api_key=self._keys[team])))

    def _examine(self, notes: list[str]) -> None:
        asked = {"EMOTUNE_URL": self._machine.url, "EMOTUNE_API_KEY": self._keys[OPERATORS]}
        found = json.loads(self.stack.run("worker-0", "doctor", "--json", environment=asked))["findings"]
        bad = [finding for finding in found if finding["health"] != "ok"]
        self._check(not bad, bad)
        notes.append(f"{len(found)} checks, all ok")

    def _post(self, team: str, config: Json) -> str:
        request = {"dataset_id": self._datasets[team], "base_model": MODEL, "config": config, "name": f"job of {team}"}
        job_id: str = self._clients[team].create_job(request)["id"]
        return job_id

    def _get(self, job: str) -> Json:
        return self._clients["reds" if job == "late" else job].get_job(self._jobs[job])

    def _get_last_run(self, team: str) -> Json:
        return self._clients[team].list_runs(self._jobs[team])[-1]

    def _has_succeeded(self, job: str) -> bool:
        return bool(self._get(job)["status"] == "succeeded")

    def _find_slot(self, team: str) -> str:
        """That runs the team's job."""
        slots = self._clients[OPERATORS].list_slots()
        (name,) = (slot["name"] for slot in slots if (slot["job"] or {}).get("id") == self._jobs[team])
        return str(name)

    def _follow(self, team: str, notes: list[str]) -> None:
        """Wait until the feed reports a step that came after it was opened; the job has to run all the time."""
        wanted = self._get(team)["step"] + 1
        with self._stream(f"/jobs/{self._jobs[team]}/metrics", team) as lines:
            steps = (json.loads(line.removeprefix("data:"))["step"] for line in lines if line.startswith("data:"))
            step = next(step for step in steps if step > wanted)
        self._check(self._get(team)["status"] == "running", "the feed came with the end of the job only")
        notes.append(f"up to step {step}, while it runs")

    @contextmanager
    def _stream(self, path: str, team: str) -> Iterator[Iterator[str]]:
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {self._keys[team]}"}
        with (
            httpx2.Client(base_url=self._machine.url, headers=headers, timeout=STREAM_SECONDS) as client,
            client.stream("GET", path) as response,
        ):
            self._check(response.status_code == 200, response)
            yield response.iter_lines()

    def _log_in(self) -> None:
        with httpx2.Client(base_url=self._machine.url) as browser:
            page = browser.get("/")
            self._check(page.status_code == 200 and page.headers["Content-Type"].startswith("text/html"), page)
            self._check(browser.get("/jobs:overview").status_code == 401, "anybody may read")
            opened = browser.post("/session", json={"api_key": self._keys["reds"]})
            self._check(opened.status_code == 201 and "HttpOnly" in opened.headers["Set-Cookie"], opened)
            table = browser.get("/jobs:overview").json()["items"]
            self._check([row["id"] for row in table] == [self._jobs["reds"]], table)
            path, change = f"/jobs/{self._jobs['reds']}", {"name": "renamed by a page"}
            self._check(browser.patch(path, json=change).status_code == 401, "a change needs the page's token")
            token = {"X-CSRF-Token": browser.get("/session").json()["csrf_token"]}
            self._check(browser.patch(path, json=change, headers=token).json()["name"] == change["name"], path)

    def _download(self, job: str, notes: list[str]) -> None:
        client = self._clients["reds"]
        (artifact,) = (each for each in client.list_artifacts(self._jobs[job]) if each["kind"] == "bundle")
        half = artifact["size_bytes"] // 2
        target = self._machine.folder / "bundle.zip"
        headers = {"Authorization": f"Bearer {self._keys['reds']}"}
        with httpx2.Client(base_url=self._machine.url, headers=headers) as http, target.open("wb") as stream:
            for part in (f"bytes=0-{half - 1}", f"bytes={half}-"):
                answer = http.get(f"/jobs/{self._jobs[job]}/artifacts/bundle", headers={"Range": part})
                self._check(answer.status_code == 206, answer)
                stream.write(answer.content)
        self._check(_digest(target) == artifact["sha256"], "its sha256 is another one")
        with zipfile.ZipFile(target) as bundle:
            self._check(bundle.testzip() is None, "the zip is damaged")
        notes.append(f"{artifact['size_bytes'] / MIB:.1f} MiB")

    def _check_curve(self, team: str) -> None:
        """Each step has its metric, those too that the database had not got when it, Redis and all else were killed."""
        points = self._clients[team].read_metrics(self._jobs[team], None)["items"]
        lost = set(range(1, CONFIG["max_steps"] + 1)) - {point["step"] for point in points}
        self._check(not lost, sorted(lost))

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                jobs = {job: self._get(job) for job in self._jobs}
                raise StackFailed(f"not within {WAIT_SECONDS:.0f} s: {what}; the jobs are {jobs}")
            time.sleep(POLL_SECONDS)

    def _check(self, holds: bool, seen: object) -> None:
        if not holds:
            raise StackFailed(f"not as promised: {seen}")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
