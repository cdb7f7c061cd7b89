"""The clients of the load test: `python -m benchmarks.load_clients PLAN RESULT` runs some of them in one process.

They use plain sockets and the minimum of HTTP/1.1 with persistent connections, so that the server is measured and not
its clients: a request costs them about 0.1 ms. Each client has an interval between its requests, and never sends one
before the last was answered.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

Kind = Literal["job", "overview", "metrics", "bare", "upload"]

ANSWER_SECONDS = 60.0
LINE = (
    '{"messages": [{"role": "user", "content": "How was concert %d of client %d?"}, {"role": "assistant", '
    '"content": "<emo joy=0.9>I am overjoyed, it was wonderful!</emo> <emo sadness=0.4>A pity it is over.</emo>"}]}\n'
)
# How often the delay of the clients' event loop is measured.
LAG_SECONDS = 0.05


@dataclass(frozen=True)
class Plan:
    """What the clients of one process do, and how many of each kind there are."""

    url: str
    bare_url: str
    bare_path: str
    seconds: float
    # The key and the followed job of each client.
    followers: list[tuple[str, str]]
    dashboards: list[str]
    bare_count: int
    uploaders: list[str]
    # The seconds between two requests, or two datasets, of each client.
    follow_seconds: float
    dashboard_seconds: float
    bare_seconds: float
    upload_seconds: float
    upload_bytes: list[int]


@dataclass
class Result:
    """The seconds of each answer by kind, the number of answers 304, and all other answers."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    not_modified_count: int = 0
    uploaded_bytes: int = 0
    metric_count: int = 0
    errors: list[str] = field(default_factory=list)
    # By how much this process's event loop was late, which is a delay of the clients and not of the server.
    lags: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """A persistent connection, which is opened again when the server has closed it."""

    def __init__(self, url: str, key: str = "") -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), parts.port or 80
        self._lines = f"Host: {parts.netloc}\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, *, headers: str = "", body: bytes = b"") -> Answer:
        """Send a request and read the answer. Raises OSError, TimeoutError, asyncio.IncompleteReadError."""
        async with asyncio.timeout(ANSWER_SECONDS):
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
            writer.write(f"{method} {path} HTTP/1.1\r\n{self._lines}{headers}{length}\r\n".encode())
            writer.write(body)
            await writer.drain()
            return await self._read(reader)

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines if line]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(first.split(" ", 2)[1]), headers, body)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Clients:
    """All clients of one process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._connections: list[Connection] = []
        self.result = Result()

    async def run(self) -> None:
        plan = self._plan
        began = time.monotonic()
        followers = [self._make_follower(key, job_id) for key, job_id in plan.followers]
        dashboards = [self._make_dashboard(key) for key in plan.dashboards]
        bare = [self._make_bare() for _ in range(plan.bare_count)]
        uploads = [self._make_uploader(number, key) for number, key in enumerate(plan.uploaders)]
        groups = (
            (followers, plan.follow_seconds),
            (dashboards, plan.dashboard_seconds),
            (bare, plan.bare_seconds),
            (uploads, plan.upload_seconds),
        )
        async with asyncio.TaskGroup() as tasks:
            for asks, interval in groups:
                for number, ask in enumerate(asks):
                    # Spread evenly, since clients don't all start at the same moment.
                    first_at = began + number * interval / len(asks)
                    tasks.create_task(self._repeat(ask, first_at=first_at, interval=interval))
            tasks.create_task(self._watch_own_loop(began + plan.seconds))
        for connection in self._connections:
            connection.close()

    def _connect(self, url: str, key: str = "") -> Connection:
        self._connections.append(Connection(url, key))
        return self._connections[-1]

    async def _repeat(self, ask: Callable[[], Awaitable[None]], *, first_at: float, interval: float) -> None:
        end_at, next_at = time.monotonic() + self._plan.seconds, first_at
        while next_at < end_at:
            await asyncio.sleep(max(next_at - time.monotonic(), 0))
            await ask()
            next_at = max(next_at + interval, time.monotonic())

    async def _measure(
        self, kind: Kind, connection: Connection, method: str, path: str, *, headers: str = "", body: bytes = b""
    ) -> Answer | None:
        """Send a request, and return the answer, or None if it is an error."""
        began = time.perf_counter()
        try:
            answer = await connection.ask(method, path, headers=headers, body=body)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            connection.close()
            self.result.errors.append(f"{method} {path}: {error!r}")
            return None
        if answer.status not in (200, 201, 304):
            self.result.errors.append(f"{method} {path}: {answer.status} {answer.body[:200].decode()}")
            return None
        self.result.seconds.setdefault(kind, []).append(time.perf_counter() - began)
        self.result.not_modified_count += answer.status == 304
        return answer

    def _make_follower(self, key: str, job_id: str) -> Callable[[], Awaitable[None]]:
        """A client that follows one job, as `emotune watch` does: it reads the job, then its new metrics."""
        connection, after, is_turn_of_job = self._connect(self._plan.url, key), "", True

        async def ask() -> None:
            nonlocal after, is_turn_of_job
            if is_turn_of_job:
                await self._measure("job", connection, "GET", f"/jobs/{job_id}")
            else:
                answer = await self._measure("metrics", connection, "GET", f"/jobs/{job_id}/metrics{after}")
                page = json.loads(answer.body) if answer is not None else {"items": [], "next_cursor": None}
                self.result.metric_count += len(page["items"])
                after = f"?after={page['next_cursor']}" if page["next_cursor"] else after
            is_turn_of_job = not is_turn_of_job

        return ask

    def _make_dashboard(self, key: str) -> Callable[[], Awaitable[None]]:
        """A client that has the table of jobs open."""
        connection, tag = self._connect(self._plan.url, key), ""

        async def ask() -> None:
            nonlocal tag
            answer = await self._measure("overview", connection, "GET", "/jobs:overview", headers=tag)
            if answer is not None:
                tag = f"If-None-Match: {answer.headers['etag']}\r\n"

        return ask

    def _make_bare(self) -> Callable[[], Awaitable[None]]:
        connection = self._connect(self._plan.bare_url)

        async def ask() -> None:
            await self._measure("bare", connection, "GET", self._plan.bare_path)

        return ask

    def _make_uploader(self, number: int, key: str) -> Callable[[], Awaitable[None]]:
        """A client that uploads datasets, all of them different, since equal ones would be stored once."""
        connection, count = self._connect(self._plan.url, key), 0

        async def ask() -> None:
            nonlocal count
            size = self._plan.upload_bytes[(number + count) % len(self._plan.upload_bytes)]
            line = LINE % (count, number)
            body = (line * (size // len(line) + 1)).encode()
            count += 1
            path = f"/datasets?name=load-{number}-{count}"
            if await self._measure("upload", connection, "POST", path, body=body) is not None:
                self.result.uploaded_bytes += len(body)

        return ask

    async def _watch_own_loop(self, end_at: float) -> None:
        while (now := time.monotonic()) < end_at:
            await asyncio.sleep(LAG_SECONDS)
            self.result.lags.append(time.monotonic() - now - LAG_SECONDS)


def main(plan_path: Path, result_path: Path) -> None:
    content: dict[str, Any] = json.loads(plan_path.read_text())
    clients = Clients(Plan(**content))
    # A garbage collection would stop all clients at once, and be measured as a delay of the server.
    gc.freeze()
    asyncio.run(clients.run())
    result_path.write_text(json.dumps(asdict(clients.result)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
