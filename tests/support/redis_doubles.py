"""Doubles of a Redis client, as far as MetricStream uses one."""

from types import TracebackType
from typing import Self, cast

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

StreamId = tuple[int, int]
Fields = dict[bytes, bytes]


class MemoryRedis:
    """Streams in a dictionary. `is_away` makes it behave as a server that is not there."""

    def __init__(self) -> None:
        self.streams: dict[str, dict[StreamId, Fields]] = {}
        self.expiry_ms: dict[str, int] = {}
        self.is_away = False
        self.call_count = 0

    def as_client(self) -> Redis:
        return cast("Redis", self)

    def pipeline(self, *, transaction: bool) -> "MemoryPipeline":
        assert not transaction
        return MemoryPipeline(self)

    def xadd(self, key: str, fields: dict[str, str], *, id: str, maxlen: int, approximate: bool) -> None:  # noqa: A002
        self._answer()
        assert approximate, "exact trimming is slow"
        stream = self.streams.setdefault(key, {})
        place = parse_id(id)
        if stream and place <= max(stream):
            raise ResponseError("The ID specified in XADD is equal or smaller than the target stream top item")
        stream[place] = {name.encode(): value.encode() for name, value in fields.items()}
        while len(stream) > maxlen:
            del stream[min(stream)]

    def pexpire(self, key: str, milliseconds: int) -> None:
        self._answer()
        self.expiry_ms[key] = milliseconds

    def xrange(self, key: str, *, min: str, max: str, count: int) -> list[tuple[bytes, Fields]]:  # noqa: A002
        self._answer()
        assert min.startswith("(")
        assert max == "+"
        after = parse_id(min[1:])
        entries = sorted(self.streams.get(key, {}).items())
        return [(f"{place[0]}-{place[1]}".encode(), fields) for place, fields in entries if place > after][:count]

    def _answer(self) -> None:
        self.call_count += 1
        if self.is_away:
            raise RedisConnectionError("nobody is there")


class MemoryPipeline:
    """Sends its commands at `execute`, as the real pipeline does."""

    def __init__(self, redis: MemoryRedis) -> None:
        self._redis = redis
        self._commands: list[tuple[str, tuple[object, ...], dict[str, object]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._commands.clear()

    def xadd(self, *arguments: object, **options: object) -> None:
        self._commands.append(("xadd", arguments, options))

    def pexpire(self, *arguments: object) -> None:
        self._commands.append(("pexpire", arguments, {}))

    def execute(self) -> None:
        for name, arguments, options in self._commands:
            getattr(self._redis, name)(*arguments, **options)


def parse_id(text: str) -> StreamId:
    attempt, seq = text.split("-")
    return int(attempt), int(seq)
