"""What the rule results in over days: shares, waits, bursts, nobody starves. docs/decisions/0009 has the bounds."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from jobs.priorities import PriorityClass
from jobs.queue.rules import QueueRules
from jobs.settings import DAY_SECONDS
from tests.support.simulation import SimulatedJob, Simulation

TEAM_COUNT, JOB_COUNT = 50, 20_000
WEIGHTS = {f"team-{number:02}": float(1 + number % 4) for number in range(TEAM_COUNT)}


@dataclass(frozen=True)
class Scene:
    """An installation and what its jobs are like."""

    half_life_days: float
    shortest_seconds: float
    longest_seconds: float
    slot_sizes: Sequence[float]

    def make_job(self, generator: random.Random, team_id: str) -> SimulatedJob:
        """Most are short; what is expected of them is wrong by up to three times either way."""
        span = self.longest_seconds / self.shortest_seconds
        seconds = self.shortest_seconds * span ** generator.betavariate(1, 1.5)
        return SimulatedJob(team_id, seconds, seconds * 3 ** generator.uniform(-1, 1))

    @property
    def largest_cost(self) -> float:
        """Of the longest job on the largest slot."""
        return self.longest_seconds * max(self.slot_sizes)


# What a share earns in a half-life has to be much more than a job costs: the longer the jobs, the longer the half-life.
SCENES = {
    "minutes": Scene(1, 120, 1200, [1.0] * 6 + [2.0] * 4 + [4.0] * 2),
    "up to 40 minutes": Scene(7, 120, 2400, [1.0] * 4 + [2.0] * 4 + [4.0] * 2),
}


@dataclass(frozen=True)
class Backlog:
    """All teams posted all their jobs at once, as many as their weights say; it ran until one had none left."""

    scene: Scene
    simulation: Simulation


@pytest.fixture(scope="module", params=list(SCENES.values()), ids=list(SCENES))
def backlog(request: pytest.FixtureRequest) -> Backlog:
    scene: Scene = request.param
    generator = random.Random(0)  # noqa: S311  no secret
    rules = QueueRules(usage_half_life_seconds=scene.half_life_days * DAY_SECONDS)
    simulation = Simulation(WEIGHTS, scene.slot_sizes, rules)
    for team_id, weight in WEIGHTS.items():
        for _ in range(round(JOB_COUNT * weight / sum(WEIGHTS.values()))):
            simulation.post(scene.make_job(generator, team_id))
    simulation.run(until=0)
    teams = simulation.teams.values()
    simulation.run(stop=lambda: not all(team.waiting[PriorityClass.NORMAL] for team in teams))
    return Backlog(scene, simulation)


def test_shares_come_to_the_weights_while_all_are_backlogged(backlog: Backlog) -> None:
    simulation = backlog.simulation
    total = sum(map(simulation.get_used, WEIGHTS))
    errors = {team_id: simulation.get_used(team_id) / total / simulation.get_share(team_id) - 1 for team_id in WEIGHTS}
    assert len(simulation.started) > 0.8 * JOB_COUNT
    assert max(map(abs, errors.values())) < 0.05, errors


def test_no_job_waits_much_longer_than_its_fair_time(backlog: Backlog) -> None:
    """A job's fair time is when its team's share would have paid for the team's jobs before it."""
    simulation = backlog.simulation
    for job in simulation.started:
        pace = simulation.get_share(job.team_id) * simulation.capacity
        fair, longest = job.used_before / pace, backlog.scene.largest_cost / pace
        assert (job.started_at or 0.0) < fair + 2 * longest


def test_a_burst_gets_what_its_team_left_and_one_job_more_and_the_others_go_on() -> None:
    scene = SCENES["minutes"]
    generator = random.Random(1)  # noqa: S311  no secret
    simulation = Simulation(WEIGHTS, scene.slot_sizes, QueueRules())
    burst, *others = WEIGHTS
    for team_id in others:
        for _ in range(round(120 * WEIGHTS[team_id])):
            simulation.post(scene.make_job(generator, team_id))
    begin = 2.0 * DAY_SECONDS
    simulation.run(until=begin)
    standings = simulation.get_standings()
    credit = max(standings[team_id].charged for team_id in others) * WEIGHTS[burst]
    jobs = [scene.make_job(generator, burst) for _ in range(50)]
    for job in jobs:
        job.posted_at = begin
        simulation.post(job)
    # So long at most the slots can be kept from the others: until the credit is used up.
    held_up = (credit + scene.largest_cost) / simulation.capacity
    last_start = {job.team_id: job.started_at or 0.0 for job in simulation.started}
    longest_before = max(simulation.now - last_start[team_id] for team_id in others)
    count_before, pace = len(simulation.started), simulation.get_share(burst) * simulation.capacity
    for hour in range(1, 25):
        simulation.run(until=begin + hour * 3600)
        assert simulation.get_used(burst) <= pace * hour * 3600 + credit + scene.largest_cost
    gaps = []
    for job in simulation.started[count_before:]:
        if job.team_id != burst:
            gaps.append((job.started_at or 0.0) - last_start[job.team_id])
            last_start[job.team_id] = job.started_at or 0.0
    assert set(others) <= {job.team_id for job in simulation.started[count_before:]}
    assert max(gaps) < 2 * longest_before + held_up + 2 * scene.longest_seconds
    assert sum(job.started_at is not None for job in jobs) > 5


def count_ahead(job_count: int, entry_penalty_seconds: float) -> int:
    """How many jobs a team that was idle gets through at once, when another of the same weight has run alone."""
    rules = QueueRules(entry_penalty_seconds=entry_penalty_seconds)
    simulation = Simulation({"busy": 1.0, "idle": 1.0}, [1.0], rules)
    for _ in range(300):
        simulation.post(SimulatedJob("busy", 100.0, 100.0))
    begin = 10_000.0
    simulation.run(until=begin)
    for _ in range(job_count):
        simulation.post(SimulatedJob("idle", 100.0, 100.0, posted_at=begin))
    before = len(simulation.started)
    simulation.run(until=2 * begin)
    return [job.team_id for job in simulation.started[before:]].index("busy")


def test_an_advance_takes_the_lead_of_a_burst_away_and_never_more_than_that() -> None:
    # Of 10,000 slot seconds, less what has decayed.
    assert count_ahead(150, 0.0) == pytest.approx(95, abs=5)
    # 150 jobs have paid 9,000 of them, and get 60 back for each that has run.
    assert count_ahead(150, 60.0) < 40
    # A backlog of any length has lost its lead, and takes turns from the first job on.
    for job_count in (200, 2000):
        assert count_ahead(job_count, 60.0) <= 2


def test_the_lowest_class_waits_for_the_others_but_not_for_ever() -> None:
    rules = QueueRules()
    simulation = Simulation({"busy": 1.0, "patient": 1.0}, [1.0, 1.0], rules)
    low = [SimulatedJob("patient", 600.0, 600.0, PriorityClass.LOW) for _ in range(20)]
    for job in low:
        simulation.post(job)
    for _ in range(3000):
        simulation.post(SimulatedJob("busy", 600.0, 600.0))
    simulation.run()
    starts = [job.started_at or 0.0 for job in low]
    assert min(starts) >= rules.low_wait_seconds
    # Then half of both slots are theirs.
    assert max(starts) <= rules.low_wait_seconds + 20 * 600 + 2 * 600


def test_the_lowest_class_takes_what_the_others_leave() -> None:
    simulation = Simulation({"busy": 1.0, "patient": 1.0}, [1.0, 1.0], QueueRules())
    for number in range(100):
        simulation.post(SimulatedJob("busy", 600.0, 600.0, posted_at=600.0 * number))
    low = [SimulatedJob("patient", 300.0, 300.0, PriorityClass.LOW) for _ in range(100)]
    for job in low:
        simulation.post(job)
    simulation.run()
    assert max(job.started_at or 0.0 for job in low) <= 100 * 600
