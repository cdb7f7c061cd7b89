"""The API client, against a real server that imitates the API."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from cli.client import ApiError, Client
from cli.credentials import Credentials
from cli.dashboard import make_login_link

BUNDLE = b"bundle" * 1000


class Api(BaseHTTPRequestHandler):
    """Answers as the API does; `polls` records the requests of a follower."""

    polls: ClassVar[list[str]] = []
    sha256: ClassVar[str] = ""

    def do_GET(self) -> None:
        self.polls.append(self.path)
        if self.path == "/jobs/job_1/artifacts":
            self._answer({"items": [{"kind": "bundle", "sha256": self.sha256}]})
        elif self.path == "/jobs/job_1/artifacts/bundle":
            self._send(200, BUNDLE)
        elif self.path.startswith("/jobs/job_1/metrics"):
            is_first = "after" not in self.path
            metric = {"cursor": "1-1", "step": 1}
            self._answer({"items": [metric] if is_first else [], "next_cursor": "1-1" if is_first else None})
        elif self.path == "/jobs/job_1":
            self._answer({"id": "job_1", "status": "succeeded", "finished_at": "2026-01-01T00:00:00Z"})
        elif self.path == "/models":
            self._send(502, b"<html>bad gateway</html>")
        else:
            self._answer({"error": {"code": "job_not_found", "message": "No such job.", "field": "job_id"}}, 404)

    def do_POST(self) -> None:
        self._answer({"code": "x", "path": "/#/login?code=x"}, 201)

    def _answer(self, body: object, status: int = 200) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def api_url() -> Iterator[str]:
    Api.polls.clear()
    Api.sha256 = hashlib.sha256(BUNDLE).hexdigest()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(api_url: str) -> Iterator[Client]:
    with Client(Credentials(url=api_url, api_key="emo_test")) as made:
        yield made


def test_an_error_of_the_api_is_shown_in_its_own_words_with_the_field(client: Client) -> None:
    with pytest.raises(ApiError, match=r"No such job\. \(job_id\)") as caught:
        client.get_job("job_2")
    assert caught.value.code == "job_not_found"


def test_a_login_link_is_to_the_api_that_made_its_code(api_url: str) -> None:
    assert make_login_link(Credentials(url=api_url, api_key="emo_test")) == f"{api_url}/#/login?code=x"


def test_an_answer_that_is_not_the_apis_is_named_by_its_status(client: Client) -> None:
    with pytest.raises(ApiError, match="502"):
        client.list_models()


def test_following_continues_after_the_cursor_and_ends_with_the_job(client: Client) -> None:
    batches = [metrics for _, metrics in client.follow_job("job_1")]
    assert batches == [[{"cursor": "1-1", "step": 1}], []]
    assert [path for path in Api.polls if "metrics" in path] == ["/jobs/job_1/metrics", "/jobs/job_1/metrics?after=1-1"]


def test_a_download_is_kept_when_its_sha256_is_right(client: Client, tmp_path: Path) -> None:
    target = tmp_path / "bundle.zip"
    assert client.download_artifact("job_1", "bundle", target) == len(BUNDLE)
    assert target.read_bytes() == BUNDLE
    assert list(tmp_path.iterdir()) == [target]


def test_a_damaged_download_leaves_nothing(client: Client, tmp_path: Path) -> None:
    Api.sha256 = "0" * 64
    with pytest.raises(ApiError, match="damaged"):
        client.download_artifact("job_1", "bundle", tmp_path / "bundle.zip")
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_api_is_reported(tmp_path: Path) -> None:
    with (
        Client(Credentials(url="http://127.0.0.1:9", api_key="emo_test")) as client,
        pytest.raises(ApiError, match="can't be reached"),
    ):
        client.get_job("job_1")
