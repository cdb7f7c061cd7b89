"""The teams and the operator: jobs posted over HTTP, and minds changed, in a thread and from a seed of their own."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from jobs.priorities import PriorityClass
from tests.chaos.trainer import FAST_MODEL

Json = dict[str, Any]

ANSWER_SECONDS = 15.0
RETRY_SECONDS = 0.2
REAL_MODEL = "tiny-gemma"
REAL_SHARE = 0.02
# The maximum of waiting jobs: what is left when the faults end has to be done soon.
MAX_WAITING_JOBS = 8
# Of the submissions: sent twice with the same key, as a client does that has lost the answer.
REPEATED_SHARE = 0.1
# Of the pauses between two submissions: a team does something with one of its newest jobs.
ACTION_SHARE = 0.2
ACTED_ON = 8
# What a team does, and how often relative to the rest. Paused jobs are resumed by chance, and at the end.
VERBS = {"cancel": 2, "pause": 4, "resume": 4, "checkpoint": 3, "priority": 2}
# What the operator does. Held jobs are released by chance, and at the end.
OPERATOR_VERBS = {"preempt": 4, "hold": 2, "release": 3, "move": 2}
OPERATOR = "operator"
# An urgent job preempts another, and a low one is preempted by nearly all.
CLASS_WEIGHTS = {PriorityClass.LOW: 2, PriorityClass.NORMAL: 5, PriorityClass.URGENT: 1}
# The last place that a job is moved to; the first is 1.
LAST_PLACE = 4

# max_steps, milliseconds a step (in the seed), steps between two checkpoints.
FAST_COURSES = ((8, 10, 3), (30, 20, 5), (60, 25, 10), (40, 60, 7), (120, 25, 20))
REAL_CONFIG: Json = {"max_steps": 25, "batch_size": 2, "lora_rank": 4, "max_length": 64, "checkpoint_every": 5}


@dataclass
class Submitted:
    """A job that the API has accepted, and what its team has asked for since."""

    job_id: str
    team: str
    course: str
    asked: set[str] = field(default_factory=set)


@dataclass
class LoadReport:
    """What the teams saw."""

    jobs: dict[str, Submitted] = field(default_factory=dict)
    actions: Counter[str] = field(default_factory=Counter)
    # Answers and broken connections that the faults explain.
    refusals: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


def make_config(course: str) -> Json:
    """The config of the course with this name."""
    if course == REAL_MODEL:
        return REAL_CONFIG
    max_steps, step_ms, every = FAST_COURSES[int(course)]
    return REAL_CONFIG | {"max_steps": max_steps, "seed": step_ms, "checkpoint_every": every}


COURSES = (*map(str, range(len(FAST_COURSES))), REAL_MODEL)


class Load:
    """It runs in a thread from `start` on."""

    def __init__(
        self, url: str, keys: dict[str, str], *, dataset_ids: dict[str, str], seed: int, mean_gap_seconds: float
    ) -> None:
        """`dataset_ids` by team; `keys` too, with one of OPERATOR."""
        self._chance = random.Random(seed)
        self._clients = {
            team: httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=ANSWER_SECONDS)
            for team, key in keys.items()
        }
        self._dataset_ids = dataset_ids
        self._seed = seed
        self._mean_gap_seconds = mean_gap_seconds
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.report = LoadReport()

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Its thread ends after the present request, which may need what a fault has taken away."""
        self._closing.set()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _run(self) -> None:
        number = 0
        while not self._closing.wait(self._chance.expovariate(1 / self._mean_gap_seconds)):
            if self._chance.random() < ACTION_SHARE and self.report.jobs:
                self._act()
            elif self._count_waiting() < MAX_WAITING_JOBS:
                number += 1
                self._submit(number)

    def _submit(self, number: int) -> None:
        """Until it is answered: with the same key that makes one job."""
        team = self._chance.choice(sorted(self._dataset_ids))
        is_real = self._chance.random() < REAL_SHARE
        course = REAL_MODEL if is_real else self._chance.choice(COURSES[:-1])
        body = {
            "dataset_id": self._dataset_ids[team],
            "base_model": REAL_MODEL if is_real else FAST_MODEL,
            "config": make_config(course),
            "name": f"{team} {number}",
            "priority": self._chance.randrange(3),
            "priority_class": self._chance.choices(list(CLASS_WEIGHTS), list(CLASS_WEIGHTS.values()))[0],
        }
        headers = {"Idempotency-Key": f"chaos-{self._seed}-{number}"}
        repeat_count = 2 if self._chance.random() < REPEATED_SHARE else 1
        for _ in range(repeat_count):
            job_id = self._post_until_taken(team, body, headers)
            self.report.jobs.setdefault(job_id, Submitted(job_id, team, course))

    def _post_until_taken(self, team: str, body: Json, headers: dict[str, str]) -> str:
        while True:
            response = self._request(team, "POST", "/jobs", json=body, headers=headers)
            if response is not None and response.status_code in (200, 201):
                job_id: str = response.json()["id"]
                return job_id
            if response is not None and response.status_code < 500:
                self.report.violations.append(f"POST /jobs: {response.status_code} {response.text}")
            time.sleep(RETRY_SECONDS)

    def _act(self) -> None:
        job = self._chance.choice(list(self.report.jobs.values())[-ACTED_ON:])
        weights = VERBS | OPERATOR_VERBS
        verb = self._chance.choices(list(weights), list(weights.values()))[0]
        match verb:
            case "priority":
                self._ask(job, verb, "PATCH", f"/jobs/{job.job_id}", json={"priority": self._chance.randrange(3)})
            case "hold":
                self._ask(job, verb, "POST", f"/queue/{job.job_id}/hold", json={"reason": "by chance"})
            case "release":
                self._ask(job, verb, "POST", f"/queue/{job.job_id}/release")
            case "move":
                position = self._chance.choice([None, *range(1, LAST_PLACE + 1)])
                self._ask(job, verb, "POST", f"/queue/{job.job_id}/move", json={"position": position})
            case _:
                self._ask(job, verb, "POST", f"/jobs/{job.job_id}/{verb}")

    def _ask(self, job: Submitted, verb: str, method: str, path: str, **options: Any) -> None:
        # Whatever becomes of the request, it may have arrived.
        job.asked.add(verb)
        self.report.actions[verb] += 1
        caller = OPERATOR if verb in OPERATOR_VERBS else job.team
        response = self._request(caller, method, path, **options)
        if response is not None and response.status_code not in (200, 202, 409) and response.status_code < 500:
            self.report.violations.append(f"{verb} {job.job_id}: {response.status_code} {response.text}")

    def has_let_go(self) -> bool:
        """Whether the thread has ended; then paused jobs are resumed and held ones released, as none may be left."""
        if self._thread.is_alive():
            return False
        paused, queued = self._list_ids("paused"), self._list_ids("queued")
        if paused is None or queued is None:
            return False
        for job_id in paused:
            self._ask(self.report.jobs[job_id], "resume", "POST", f"/jobs/{job_id}/resume")
        for job_id in queued:
            if "hold" in self.report.jobs[job_id].asked:
                self._ask(self.report.jobs[job_id], "release", "POST", f"/queue/{job_id}/release")
        return True

    def _count_waiting(self) -> int:
        """The number of waiting jobs; when the API doesn't answer, as many as are enough."""
        queued = self._list_ids("queued")
        return MAX_WAITING_JOBS if queued is None else len(queued)

    def _list_ids(self, status: str) -> list[str] | None:
        """Of all teams' jobs with this status, or None when the API doesn't tell."""
        ids: list[str] = []
        for team in self._dataset_ids:
            response = self._request(team, "GET", f"/jobs?status={status}&limit=200")
            if response is None or response.status_code != 200:
                return None
            ids += [item["id"] for item in response.json()["items"]]
        return ids

    def _request(self, caller: str, method: str, path: str, **options: Any) -> httpx2.Response | None:
        """The answer, or None when there was none."""
        try:
            response = self._clients[caller].request(method, path, **options)
        except httpx2.TransportError as error:
            self.report.refusals[type(error).__name__] += 1
            return None
        if response.status_code >= 500:
            self.report.refusals[str(response.status_code)] += 1
        return response


def upload_dataset(client: httpx2.Client, content: bytes, seconds: float) -> str:
    """The id of the stored dataset; the API may still be starting."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            response = client.post("/datasets", params={"name": "chats"}, content=content)
        except httpx2.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)
            continue
        response.raise_for_status()
        dataset_id: str = response.json()["id"]
        return dataset_id


def list_teams(count: int) -> Sequence[str]:
    return [f"team-{number}" for number in range(count)]
