"""The load test's verdicts: which goals it reports as missed, and how it reads the API's memory."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from benchmarks.load_clients import Clients, Plan, Result
from benchmarks.load_report import MOST_TIMES, Seen, find_times, judge, measure_memory, merge
from jobs.settings import MIB

FLAT = [100 * MIB] * 120


def make_seen(*, poll_seconds: float = 0.01, rss_bytes: list[int] = FLAT, errors: int = 0, steps: int = 1) -> Seen:
    seconds = {kind: [poll_seconds] * 100 for kind in ("job", "overview", "metrics")} | {"bare": [0.002] * 100}
    result = Result(seconds=seconds, errors=["GET /jobs: 500"] * errors)
    return Seen(result, rss_bytes=rss_bytes, api_cores=0.5, job_count=5, step_count=steps, restarted=[])


def test_a_run_that_meets_the_goals_has_no_problems() -> None:
    assert list(judge(make_seen())) == []


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (make_seen(errors=2), "2 errors"),
        (make_seen(poll_seconds=0.002 * MOST_TIMES), "10.0 times"),
        (make_seen(rss_bytes=[100 * MIB] * 60 + [106 * MIB] * 60), "grew by 6.0%"),
        (make_seen(steps=0), "no job"),
    ],
)
def test_each_goal_that_was_missed_is_reported(seen: Seen, told: str) -> None:
    (problem,) = judge(seen)
    assert told in problem


def test_the_warm_up_is_no_growth() -> None:
    assert list(judge(make_seen(rss_bytes=[50 * MIB] * 30 + [100 * MIB] * 90))) == []


def test_the_growth_a_minute_is_that_of_a_line() -> None:
    earlier, later, trend = measure_memory([100 * MIB + second * MIB for second in range(121)])
    assert (round(earlier / MIB, 1), round(later / MIB, 1), round(trend / MIB, 3)) == (144.5, 205.5, 60)


def test_results_of_several_processes_become_one() -> None:
    first, second = make_seen(errors=1).clients, make_seen(poll_seconds=0.04, errors=1).clients
    whole = merge([first, second])
    assert (len(whole.errors), len(whole.seconds["job"]), len(whole.seconds["bare"])) == (2, 200, 200)
    assert find_times(whole) == pytest.approx(20)


SERVER_SECONDS = 5.0


async def talk(answers: list[bytes], check: Callable[[Clients], Awaitable[None]], requests: list[bytes]) -> None:
    """Run clients against a server that gives these answers, one after the other."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answers:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answers.pop(0))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    nobody = {"followers": [], "dashboards": ["key"], "bare_count": 0, "uploaders": []}
    pauses = {"follow_seconds": 1.0, "dashboard_seconds": 0.01, "bare_seconds": 1.0, "upload_seconds": 1.0}
    rest = {"bare_url": url, "bare_path": "/", "upload_bytes": [1], **pauses}
    async with server, asyncio.timeout(SERVER_SECONDS):
        await check(Clients(Plan(url=url, seconds=0.015, **nobody, **rest)))  # type: ignore[arg-type]


def test_a_dashboard_sends_the_tag_that_it_has_and_anything_else_than_an_answer_is_an_error() -> None:
    tagged = b'HTTP/1.1 200 OK\r\nETag: "one"\r\nContent-Length: 2\r\n\r\n{}'
    same = b'HTTP/1.1 304 Not Modified\r\nETag: "one"\r\n\r\n'
    requests: list[bytes] = []
    clients: list[Clients] = []

    async def check(made: Clients) -> None:
        clients.append(made)
        await made.run()

    asyncio.run(talk([tagged, same], check, requests))
    asyncio.run(talk([b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"] * 2, check, requests))
    first, second, *_ = requests
    assert b"If-None-Match" not in first
    assert b'If-None-Match: "one"\r\n' in second
    well, ill = (each.result for each in clients)
    assert (len(well.seconds["overview"]), well.not_modified_count, well.errors) == (2, 1, [])
    assert ill.seconds == {}
    assert all("503 busy" in error for error in ill.errors)
    assert len(ill.errors) == 2
