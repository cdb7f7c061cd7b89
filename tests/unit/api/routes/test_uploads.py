"""Uploads in parts: in any order, repeated or broken off, and completed only once."""

import base64
import hashlib
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from jobs.clock import utc_now
from jobs.data.uploads import MAX_OPEN_UPLOADS
from jobs.database.engine import Database
from jobs.models import Upload
from jobs.settings import Settings
from tests.unit.api.routes.test_datasets import BAD_LINE, LINE, list_files
from tests.unit.conftest import TestTeam

CONTENT = (LINE * 4).encode()
PARTS = [CONTENT[:70], CONTENT[70:200], CONTENT[200:]]


def begin(client: TestClient, **fields: object) -> str:
    response = client.post("/uploads", json={"name": "chats", **fields})
    assert response.status_code == 201, response.text
    assert response.headers["Location"] == f"/uploads/{response.json()['id']}"
    return str(response.json()["id"])


def send(client: TestClient, upload_id: str, number: int, content: bytes) -> int:
    return int(client.put(f"/uploads/{upload_id}/parts/{number}", content=content).status_code)


def list_parts(client: TestClient, upload_id: str) -> list[tuple[int, int]]:
    parts = client.get(f"/uploads/{upload_id}").json()["parts"]
    return [(part["number"], part["size_bytes"]) for part in parts]


def describe_digest(content: bytes) -> dict[str, str]:
    return {"Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"}


def test_parts_in_any_order_and_repeated_become_the_file(client: TestClient, settings: Settings) -> None:
    upload_id = begin(client, size_bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    for number, content in ((3, PARTS[2]), (1, b"nonsense"), (2, PARTS[1]), (1, PARTS[0])):
        assert send(client, upload_id, number, content) == 200
    assert list_parts(client, upload_id) == [(1, 70), (2, 130), (3, len(CONTENT) - 200)]
    response = client.post(f"/uploads/{upload_id}/complete")
    assert response.status_code == 201
    dataset = response.json()
    assert (dataset["name"], dataset["sha256"]) == ("chats", hashlib.sha256(CONTENT).hexdigest())
    assert (settings.data_dir / "datasets" / f"{dataset['id']}.jsonl").read_bytes() == CONTENT
    assert not (settings.data_dir / "uploads" / upload_id).exists()
    assert client.get(f"/uploads/{upload_id}").json()["dataset_id"] == dataset["id"]


def test_a_repeated_complete_answers_with_the_same_dataset(client: TestClient) -> None:
    upload_id = begin(client)
    send(client, upload_id, 1, CONTENT)
    first, second = (client.post(f"/uploads/{upload_id}/complete") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert len(client.get("/datasets").json()["items"]) == 1
    late = client.put(f"/uploads/{upload_id}/parts/1", content=CONTENT)
    assert (late.status_code, late.json()["error"]["code"]) == (409, "upload_completed")


def test_missing_parts_are_named_and_no_dataset_is_made(client: TestClient) -> None:
    upload_id = begin(client, size_bytes=len(CONTENT))
    response = client.post(f"/uploads/{upload_id}/complete")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "upload_incomplete")
    send(client, upload_id, 1, PARTS[0])
    send(client, upload_id, 4, PARTS[2])
    assert "missing: 2, 3." in client.post(f"/uploads/{upload_id}/complete").json()["error"]["message"]
    send(client, upload_id, 2, b"")
    send(client, upload_id, 3, b"")
    too_short = client.post(f"/uploads/{upload_id}/complete").json()["error"]["message"]
    assert f"announced with {len(CONTENT)}" in too_short
    assert client.get("/datasets").json()["items"] == []


def test_a_part_that_is_not_like_its_digest_is_refused_and_the_one_before_stays(client: TestClient) -> None:
    upload_id = begin(client)
    url = f"/uploads/{upload_id}/parts/1"
    assert client.put(url, content=CONTENT, headers=describe_digest(CONTENT)).status_code == 200
    broken = client.put(url, content=CONTENT[:-1], headers=describe_digest(CONTENT))
    assert (broken.status_code, broken.json()["error"]["code"]) == (422, "digest_mismatch")
    unreadable = client.put(url, content=CONTENT, headers={"Content-Digest": "sha-256=:xx:"})
    assert (unreadable.status_code, unreadable.json()["error"]["field"]) == (422, "Content-Digest")
    assert list_parts(client, upload_id) == [(1, len(CONTENT))]


def test_a_file_that_is_not_as_announced_is_refused_and_can_be_corrected(client: TestClient) -> None:
    upload_id = begin(client, sha256=hashlib.sha256(CONTENT).hexdigest())
    send(client, upload_id, 1, CONTENT + LINE.encode())
    response = client.post(f"/uploads/{upload_id}/complete")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "digest_mismatch")
    send(client, upload_id, 1, CONTENT)
    assert client.post(f"/uploads/{upload_id}/complete").status_code == 201


def test_bad_lines_come_as_a_report_and_their_part_can_be_sent_again(client: TestClient, settings: Settings) -> None:
    upload_id = begin(client)
    send(client, upload_id, 1, LINE.encode())
    send(client, upload_id, 2, BAD_LINE.encode())
    response = client.post(f"/uploads/{upload_id}/complete")
    assert (response.status_code, response.json()["report"]["problems"][0]["line"]) == (422, 2)
    assert list_files(settings) == []
    send(client, upload_id, 2, LINE.encode())
    assert client.post(f"/uploads/{upload_id}/complete").json()["example_count"] == 2


def test_the_parts_of_a_team_have_a_bound(settings: Settings, team: TestTeam, other_team: TestTeam) -> None:
    settings = settings.model_copy(update={"max_dataset_bytes": 200})
    with TestClient(create_app(settings)) as client:
        client.headers.update(team.headers)
        assert client.post("/uploads", json={"name": "a", "size_bytes": 201}).status_code == 413
        first, second = begin(client), begin(client)
        assert send(client, first, 1, b"x" * 150) == 200
        assert send(client, first, 1, b"x" * 200) == 200
        assert send(client, second, 1, b"x") == 413
        assert client.delete(f"/uploads/{first}").status_code == 204
        assert send(client, second, 1, b"x") == 200
        client.headers.update(other_team.headers)
        assert send(client, begin(client), 1, b"x" * 200) == 200
    assert list_files(settings) == []


def test_a_team_has_only_so_many_open_uploads(client: TestClient) -> None:
    for _ in range(MAX_OPEN_UPLOADS):
        begin(client)
    response = client.post("/uploads", json={"name": "a"})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "uploads_too_many")


def test_an_upload_is_the_teams_own(client: TestClient, other_client: TestClient) -> None:
    upload_id = begin(client)
    url = f"/uploads/{upload_id}"
    assert other_client.get(url).status_code == 404
    assert other_client.put(f"{url}/parts/1", content=b"x").status_code == 404
    assert other_client.post(f"{url}/complete").status_code == 404
    assert other_client.delete(url).status_code == 404
    assert client.get(url).status_code == 200


def test_an_expired_upload_is_gone_before_it_is_swept(client: TestClient, database: Database) -> None:
    upload_id = begin(client)
    with database.write() as session:
        session.get_one(Upload, upload_id).expires_at = utc_now() - timedelta(seconds=1)
    response = client.get(f"/uploads/{upload_id}")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "upload_not_found")
    assert send(client, upload_id, 1, b"x") == 404


@pytest.mark.parametrize("number", ["0", "10001", "x"])
def test_a_part_has_a_number_within_bounds(client: TestClient, number: str) -> None:
    response = client.put(f"/uploads/{begin(client)}/parts/{number}", content=b"x")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "part_not_found")


def test_a_mapping_is_checked_at_the_beginning_and_used_at_the_end(client: TestClient) -> None:
    refused = client.post("/uploads", json={"name": "a", "mapping": "gomotions"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "mapping")
    upload_id = begin(client, mapping={"labels": {"glad": {"joy": 0.7}}})
    send(client, upload_id, 1, b"text,label\nWhat a lovely day,glad\n")
    report = client.post(f"/uploads/{upload_id}/complete").json()["report"]
    assert report["emotions"]["poles"]["joy"] == {"segment_count": 1, "mean_intensity": 0.7}


def test_a_compressed_part_is_refused(client: TestClient) -> None:
    upload_id = begin(client)
    response = client.put(f"/uploads/{upload_id}/parts/1", content=b"x", headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415


def test_a_team_finds_its_uploads_again(client: TestClient, other_client: TestClient) -> None:
    first, second = begin(client), begin(client)
    send(client, first, 1, b"abc")
    page = client.get("/uploads?limit=1").json()
    assert [item["id"] for item in page["items"]] == [second]
    rest = client.get("/uploads", params={"cursor": page["next_cursor"]}).json()["items"]
    assert [(item["id"], item["received_bytes"]) for item in rest] == [(first, 3)]
    assert other_client.get("/uploads").json()["items"] == []
