"""Downloads over HTTP, complete, in ranges and conditional, and the pure functions of api/answers/downloads.py."""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from api.answers.downloads import PIECE_BYTES, Span, find_span, find_tail
from jobs.database.engine import Database
from jobs.files.keys import make_artifact_key
from jobs.files.storage import Storage
from jobs.models import Artifact, Job
from jobs.settings import Settings

CONTENT = b"PK" + bytes(range(256)) * 2000


@pytest.fixture
def job_id(make_succeeded_job: Callable[[bytes], str]) -> str:
    """The id of a succeeded job with a bundle longer than one piece."""
    assert len(CONTENT) > PIECE_BYTES
    return make_succeeded_job(CONTENT)


@pytest.fixture(params=["/bundle", "/artifacts/bundle"])
def path(request: pytest.FixtureRequest, job_id: str) -> str:
    return f"/jobs/{job_id}{request.param}"


def test_the_list_has_size_and_sha256(client: TestClient, job_id: str) -> None:
    (artifact,) = client.get(f"/jobs/{job_id}/artifacts").json()["items"]
    assert artifact["kind"] == "bundle"
    assert artifact["size_bytes"] == len(CONTENT)
    assert artifact["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_a_download_is_whole_and_describes_itself(client: TestClient, path: str) -> None:
    response = client.get(path)
    digest = hashlib.sha256(CONTENT)
    assert (response.status_code, response.content) == (200, CONTENT)
    assert response.headers["Content-Type"] == "application/zip"
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.headers["ETag"] == f'"{digest.hexdigest()}"'
    assert response.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert response.headers["Content-Disposition"] == "attachment; filename=\"bundle.zip\"; filename*=UTF-8''bundle.zip"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Cache-Control"] == "private, no-cache"


def test_head_gives_the_headers_alone(client: TestClient, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Content-Length", "Content-Type", "Repr-Digest", "Accept-Ranges"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("0-9", 0, 10), ("5-", 5, len(CONTENT)), ("-7", len(CONTENT) - 7, len(CONTENT)), ("0-", 0, len(CONTENT))],
)
def test_a_range_is_a_part_of_the_file(client: TestClient, path: str, asked: str, start: int, end: int) -> None:
    response = client.get(path, headers={"Range": f"bytes={asked}"})
    assert (response.status_code, response.content) == (206, CONTENT[start:end])
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    assert response.headers["Content-Length"] == str(end - start)


def test_a_download_that_broke_off_is_finished_by_ranges(client: TestClient, path: str) -> None:
    etag = client.head(path).headers["ETag"]
    parts = [
        client.get(path, headers={"Range": f"bytes={start}-{start + 99_999}", "If-Range": etag}).content
        for start in range(0, len(CONTENT), 100_000)
    ]
    assert b"".join(parts) == CONTENT


def test_a_range_outside_the_file_is_refused(client: TestClient, path: str) -> None:
    response = client.get(path, headers={"Range": f"bytes={len(CONTENT)}-"})
    assert (response.status_code, response.json()["error"]["code"]) == (416, "range_not_satisfiable")
    assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    "asked", ["bytes=a-b", "bytes=9-3", "bytes=-", "lines=0-9", "bytes=0-1,5-6", "bytes=" + "9" * 5000 + "-"]
)
def test_a_range_that_can_not_be_read_counts_as_none(client: TestClient, path: str, asked: str) -> None:
    response = client.get(path, headers={"Range": asked})
    assert (response.status_code, len(response.content)) == (200, len(CONTENT))


def test_a_range_of_another_version_counts_as_none(client: TestClient, path: str) -> None:
    response = client.get(path, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (response.status_code, len(response.content)) == (200, len(CONTENT))


def test_a_client_that_has_the_file_gets_304(client: TestClient, path: str) -> None:
    etag = client.head(path).headers["ETag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        response = client.get(path, headers={"If-None-Match": known})
        assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", etag)
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("kind", ["log", "a..b", "a%2Fb", "BUNDLE", "x" * 50])
def test_what_the_job_has_not_made_is_not_found(client: TestClient, job_id: str, kind: str) -> None:
    assert client.get(f"/jobs/{job_id}/artifacts/{kind}").status_code == 404


def test_a_job_without_a_bundle_says_so(client: TestClient, make_job: Callable[..., Job]) -> None:
    response = client.get(f"/jobs/{make_job().id}/bundle")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "artifact_not_found")


@pytest.mark.parametrize(("kind", "path"), [("bundle", "bundle"), ("bundle", "artifacts/bundle"), ("log", "logs")])
def test_what_was_deleted_after_its_time_is_gone_and_says_why(
    client: TestClient, database: Database, job_id: str, kind: str, path: str
) -> None:
    with database.write() as session:
        if kind != "bundle":
            session.add(Artifact(job_id=job_id, kind=kind, filename="x", media_type="x", size_bytes=1, sha256="0" * 64))
        session.flush()
        session.get_one(Artifact, (job_id, kind)).deleted_at = datetime(2026, 11, 26, tzinfo=UTC)
    response = client.get(f"/jobs/{job_id}/{path}")
    assert (response.status_code, response.json()["error"]["code"]) == (410, "artifact_gone")
    assert f"The {kind} was deleted on 2026-11-26" in response.json()["error"]["message"]
    assert kind not in {item["kind"] for item in client.get(f"/jobs/{job_id}/artifacts").json()["items"]}


def test_a_file_that_is_gone_is_an_error_of_the_service(client: TestClient, settings: Settings, job_id: str) -> None:
    (Storage(settings.data_dir).root / make_artifact_key(job_id, "bundle.zip")).unlink()
    response = client.get(f"/jobs/{job_id}/bundle")
    assert response.status_code == 500
    assert "bundle.zip" not in response.text


@given(st.integers(0, 40), st.none() | st.integers(0, 50), st.none() | st.integers(0, 50))
def test_a_span_is_what_rfc_9110_says(size_bytes: int, first: int | None, last: int | None) -> None:
    content = bytes(range(size_bytes))
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None:
        expected = content[max(size_bytes - last, 0) :] if last is not None else None
    else:
        expected = content[first : None if last is None else last + 1]
        expected = None if last is not None and last < first else expected
    if expected == b"":
        with pytest.raises(HTTPException):
            find_span(header, size_bytes)
        return
    span = find_span(header, size_bytes)
    assert (content[span.start : span.end] if span else None) == expected


@given(st.lists(st.text("ab", max_size=3), max_size=12), st.booleans(), st.integers(1, 15))
def test_a_tail_is_the_last_lines(lines: list[str], is_ended: bool, count: int) -> None:
    text = "\n".join(lines) + ("\n" if is_ended and lines else "")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.txt"
        path.write_text(text)
        span = find_tail(path, count)
        found = text[span.start : span.end]
    assert found == "".join(text.splitlines(keepends=True)[-count:])


def test_a_tail_reaches_over_pieces(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    for end in ("", "\n"):
        text = ("x" * 1000 + "\n") * 700 + "last" + end
        path.write_text(text)
        for count in (1, 2, 261, 262, 263, 264, 600, 701, 5000):
            span = find_tail(path, count)
            assert text[span.start : span.end] == "".join(text.splitlines(keepends=True)[-count:])
        assert find_tail(path, None) == Span(0, len(text))
