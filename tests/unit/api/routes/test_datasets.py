"""Datasets over HTTP: every way in, every reason to be refused, and that nothing is left half-stored."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.intake.stream import MAX_FORM_EXTRA_BYTES
from api.main import create_app
from emomodel.emotions import DEFAULT_AXES
from jobs.models import Dataset, Job
from jobs.settings import Settings
from tests.unit.api.routes.test_jobs import UncommittableDatabase
from tests.unit.conftest import TestTeam

LINE = (
    '{"messages": [{"role": "user", "content": "How was it?"}, '
    '{"role": "assistant", "content": "<emo joy=0.9>Wonderful, Zoë!</emo>"}]}\n'
)
BAD_LINE = '{"messages": [{"role": "user", "content": "How was it?"}]}\n'


def list_files(settings: Settings) -> list[str]:
    """The files in the folders of datasets, finished or not."""
    folders = (settings.data_dir / "datasets", settings.data_dir / "incoming")
    return [file.name for folder in folders if folder.is_dir() for file in folder.iterdir()]


def test_a_raw_upload_is_stored_as_it_came(client: TestClient, settings: Settings) -> None:
    body = (LINE * 3).encode()
    response = client.post("/datasets?name=my chats", content=body)
    assert response.status_code == 201
    dataset = response.json()
    assert response.headers["Location"] == f"/datasets/{dataset['id']}"
    assert dataset["name"] == "my chats"
    assert dataset["size_bytes"] == len(body)
    assert dataset["sha256"] == hashlib.sha256(body).hexdigest()
    assert dataset["example_count"] == 3
    assert dataset["axes"] == list(DEFAULT_AXES)
    assert dataset["report"]["line_count"] == 3
    assert (settings.data_dir / "datasets" / f"{dataset['id']}.jsonl").read_bytes() == body
    assert list_files(settings) == [f"{dataset['id']}.jsonl"]
    assert client.get(f"/datasets/{dataset['id']}").json() == dataset


def test_lists_leave_the_reports_out(client: TestClient) -> None:
    made = client.post("/datasets?name=a", content=LINE).json()
    assert client.get("/datasets").json() == {"items": [made | {"report": None}], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "headers", "name"),
    [
        ("?name=Zo%C3%AB", {}, "Zoë"),
        ("", {"X-Dataset-Name": "Zo%C3%AB%20chats"}, "Zoë chats"),
        ("?name=query", {"X-Dataset-Name": "header"}, "query"),
        ("?name=%20padded%20", {}, "padded"),
    ],
)
def test_the_name_comes_from_query_or_header(
    client: TestClient, query: str, headers: dict[str, str], name: str
) -> None:
    assert client.post(f"/datasets{query}", content=LINE, headers=headers).json()["name"] == name


@pytest.mark.parametrize(
    ("query", "advice"),
    [
        ("", "?name="),
        ("?name=", "?name="),
        ("?name=%20", "at least 1"),
        (f"?name={'x' * 201}", "at most 200"),
        ("?name=a%00b", "contains control characters"),
    ],
)
def test_without_a_good_name_the_body_is_not_read(
    client: TestClient, settings: Settings, query: str, advice: str
) -> None:
    response = client.post(f"/datasets{query}", content=LINE)
    error = response.json()["error"]
    assert (response.status_code, error["field"]) == (422, "name")
    assert advice in error["message"]
    assert list_files(settings) == []


def test_bad_lines_are_refused_with_a_report(client: TestClient, settings: Settings) -> None:
    response = client.post("/datasets?name=a", content=LINE + BAD_LINE + LINE + "nonsense\n")
    assert response.status_code == 422
    body = response.json()
    assert body["error"]["code"] == "dataset_invalid"
    problems = body["report"]["problems"]
    assert [(problem["line"], problem["code"]) for problem in problems] == [
        (2, "assistant_missing"),
        (4, "json_invalid"),
    ]
    assert all(problem["message"] and problem["fix"] for problem in problems)
    assert list_files(settings) == []
    assert client.get("/datasets").json()["items"] == []


def test_an_empty_file_is_refused(client: TestClient) -> None:
    response = client.post("/datasets?name=a", content=b"")
    assert response.status_code == 422
    assert response.json()["report"]["problems"][0]["code"] == "file_empty"


def test_own_axes_replace_the_eight(client: TestClient) -> None:
    line = LINE.replace("joy=0.9", "warm=0.9")
    response = client.post("/datasets?name=a&axes=COLD_WARM,SHY_BOLD", content=line)
    assert (response.status_code, response.json()["axes"]) == (201, ["COLD_WARM", "SHY_BOLD"])
    assert client.post("/datasets?name=a", content=line).status_code == 422


@pytest.mark.parametrize("axes", ["", "COLD_WARM", "COLD_WARM,COLD_HOT", "cold_warm,SHY_BOLD"])
def test_axes_that_are_none_are_refused(client: TestClient, axes: str) -> None:
    response = client.post(f"/datasets?name=a&axes={axes}", content=LINE)
    assert (response.status_code, response.json()["error"]["field"]) == (422, "axes")


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    response = client.post("/datasets?name=a", content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert (response.status_code, response.json()["error"]["code"]) == (415, "encoding_not_supported")
    assert "gzip" in response.json()["error"]["message"]


@pytest.fixture
def small(settings: Settings) -> Iterator[tuple[TestClient, Settings]]:
    """An installation that takes three lines at most."""
    settings = settings.model_copy(update={"max_dataset_bytes": 3 * len(LINE.encode())})
    with TestClient(create_app(settings)) as client:
        yield client, settings


def in_pieces(text: str) -> Iterator[bytes]:
    """A body of unknown length: the client then sends it in chunks."""
    for start in range(0, len(text), 50):
        yield text[start : start + 50].encode()


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("way", ["declared", "chunked", "form"])
def test_a_file_over_the_limit_is_refused(
    small: tuple[TestClient, Settings], team: TestTeam, way: str, count: int
) -> None:
    client, settings = small
    text = LINE * count
    ways: dict[str, dict[str, Any]] = {
        "declared": {"content": text.encode()},
        "chunked": {"content": in_pieces(text)},
        "form": {"files": {"file": ("chats.jsonl", text.encode())}},
    }
    response = client.post("/datasets?name=a", headers=team.headers, **ways[way])
    if count == 3:
        assert response.status_code == 201
        return
    assert (response.status_code, response.json()["error"]["code"]) == (413, "dataset_too_large")
    assert list_files(settings) == []


@pytest.mark.parametrize("is_declared", [True, False])
def test_what_a_form_has_beside_its_file_is_bounded(
    small: tuple[TestClient, Settings], team: TestTeam, is_declared: bool
) -> None:
    client, settings = small
    form = f'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n{LINE}\r\n--x--\r\n'.encode()
    headers = team.headers | {"Content-Type": "multipart/form-data; boundary=x"}
    max_bytes = settings.max_dataset_bytes + MAX_FORM_EXTRA_BYTES
    for extra, status in ((0, 201), (1, 413)):
        body = form + b" " * (max_bytes + extra - len(form))
        pieces = (body[start : start + 2**16] for start in range(0, len(body), 2**16))
        response = client.post("/datasets?name=a", headers=headers, content=body if is_declared else pieces)
        assert response.status_code == status
    assert response.json()["error"]["code"] == "dataset_too_large"
    assert len(list_files(settings)) == 1


def test_a_full_disk_refuses_datasets_and_jobs(settings: Settings, team: TestTeam, dataset: Dataset) -> None:
    settings = settings.model_copy(update={"min_free_disk_bytes": 2**62})
    with TestClient(create_app(settings), headers=team.headers) as client:
        upload = client.post("/datasets?name=a", content=LINE)
        job = client.post("/jobs", json={"dataset_id": dataset.id, "base_model": "tiny-gemma"})
    for response in (upload, job):
        assert (response.status_code, response.json()["error"]["code"]) == (507, "disk_full")


def test_a_file_whose_row_can_not_be_written_goes_again(app: FastAPI, client: TestClient, settings: Settings) -> None:
    client.get("/datasets")  # notes the key's use, so that only the dataset's own transaction is left to fail
    broken = UncommittableDatabase(settings.sqlalchemy_url)
    app.state.services = dataclasses.replace(app.state.services, database=broken)
    assert client.post("/datasets?name=a", content=LINE).status_code == 503
    broken.close()
    assert list_files(settings) == []


def test_a_form_takes_its_name_from_the_file(client: TestClient, settings: Settings) -> None:
    response = client.post("/datasets", files={"file": ("chats.jsonl", LINE.encode())})
    assert (response.status_code, response.json()["name"]) == (201, "chats.jsonl")
    stored = settings.data_dir / "datasets" / f"{response.json()['id']}.jsonl"
    assert stored.read_text() == LINE


def test_a_form_may_name_the_dataset(client: TestClient) -> None:
    response = client.post("/datasets", files={"file": ("a.jsonl", LINE.encode())}, data={"name": "Zoë"})
    assert response.json()["name"] == "Zoë"


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"files": {"upload": ("a", b"x")}}, "put the file into the field `file`: curl -F file=@chats.jsonl"),
        ({"files": {"name": (None, b"x")}}, "Put the file into the field `file`: curl -F file=@chats.jsonl"),
        ({"content": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, "breaks off"),
        ({"content": b"nonsense", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, "can't be read"),
        ({"content": b"", "headers": {"Content-Type": "multipart/form-data"}}, "boundary"),
        ({"files": [("file", ("a", b"x")), ("file", ("b", b"x"))]}, "two files"),
    ],
    ids=["other field", "no file", "cut", "nonsense", "no boundary", "two files"],
)
def test_a_form_that_is_none_is_refused(
    client: TestClient, settings: Settings, options: dict[str, Any], advice: str
) -> None:
    response = client.post("/datasets?name=a", **options)
    assert response.status_code == 400
    assert advice in response.json()["error"]["message"]
    assert list_files(settings) == []


def test_deleting_takes_row_and_file(client: TestClient, settings: Settings) -> None:
    dataset_id = client.post("/datasets?name=a", content=LINE).json()["id"]
    response = client.delete(f"/datasets/{dataset_id}")
    assert (response.status_code, response.content) == (204, b"")
    assert list_files(settings) == []
    assert client.get(f"/datasets/{dataset_id}").status_code == 404
    assert client.delete(f"/datasets/{dataset_id}").status_code == 404


def test_a_dataset_in_use_stays_until_the_job_has_ended(
    client: TestClient, dataset: Dataset, make_job: Callable[..., Job]
) -> None:
    job_id = make_job().id
    refused = client.delete(f"/datasets/{dataset.id}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "dataset_in_use")
    assert job_id in refused.json()["error"]["message"]
    client.post(f"/jobs/{job_id}/cancel")
    assert client.delete(f"/datasets/{dataset.id}").status_code == 204
    assert client.get(f"/jobs/{job_id}").json()["dataset"]["name"] == "chats"
