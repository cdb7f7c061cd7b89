"""Datasets over HTTP: every format is accepted and offered, and equal datasets share one file."""

import csv
import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from emomodel.data.examples import parse_example
from emomodel.data.formats.codes import CSV_ROW_BROKEN, LABEL_UNKNOWN
from jobs.settings import Settings
from tests.unit.api.routes.test_datasets import LINE, list_files
from tests.unit.conftest import TestTeam

CSV = 'prompt,response,joy\nHow was it?,It was wonderful!,0.9\nAnd then?,"We went home,\nall of us.",\n'


def make_parquet() -> bytes:
    sink = io.BytesIO()
    rows = {"prompt": ["How was it?"], "response": ["It was wonderful!"], "joy": [0.9]}
    pq.write_table(pa.table(rows), sink)
    return sink.getvalue()


def compress_zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


def upload(client: TestClient, content: bytes, query: str = "") -> dict[str, Any]:
    response = client.post(f"/datasets?name=a{query}", content=content)
    assert response.status_code == 201, response.text
    dataset: dict[str, Any] = response.json()
    return dataset


@pytest.mark.parametrize(
    ("content", "example_count"),
    [
        (CSV.encode(), 2),
        (make_parquet(), 1),
        (f"[{LINE},\n{LINE}]".encode(), 2),
        (gzip.compress(LINE.encode()), 1),
        (compress_zstd(CSV.encode()), 2),
    ],
    ids=["csv", "parquet", "array", "gzip", "zstd csv"],
)
def test_every_format_is_stored_as_json_lines(
    client: TestClient, settings: Settings, content: bytes, example_count: int
) -> None:
    dataset = upload(client, content)
    assert dataset["example_count"] == example_count
    assert list_files(settings) == [f"{dataset['id']}.jsonl"]
    stored = (settings.data_dir / "datasets" / f"{dataset['id']}.jsonl").read_bytes()
    assert dataset["size_bytes"] == len(stored)
    examples = [parse_example(line, number) for number, line in enumerate(stored.splitlines(), start=1)]
    assert len(examples) == example_count
    assert client.get(f"/datasets/{dataset['id']}/file").content == stored


def test_a_form_takes_other_formats_too(client: TestClient) -> None:
    response = client.post("/datasets", files={"file": ("chats.csv", CSV.encode())})
    assert (response.status_code, response.json()["name"]) == (201, "chats.csv")
    assert response.json()["example_count"] == 2


def test_problems_name_the_lines_of_the_file_that_came(client: TestClient, settings: Settings) -> None:
    content = CSV + "What?,Nothing at all.,2\nonly one\n"
    response = client.post("/datasets?name=a", content=content.encode())
    assert response.status_code == 422
    problems = response.json()["report"]["problems"]
    assert [(problem["line"], problem["code"]) for problem in problems] == [
        (5, "emotion_out_of_range"),
        (6, CSV_ROW_BROKEN),
    ]
    assert response.json()["report"]["problem_count"] == 2
    assert list_files(settings) == []


def test_a_small_file_that_expands_beyond_the_limit_is_refused(settings: Settings, team: TestTeam) -> None:
    settings = settings.model_copy(update={"max_dataset_bytes": 100_000})
    bomb = gzip.compress(LINE.encode() * 10_000)
    assert len(bomb) < 50_000
    with TestClient(create_app(settings), headers=team.headers) as client:
        response = client.post("/datasets?name=a", content=bomb)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "dataset_too_large")
    assert list_files(settings) == []


def test_a_table_that_becomes_larger_than_the_limit_is_refused(settings: Settings, team: TestTeam) -> None:
    settings = settings.model_copy(update={"max_dataset_bytes": 2000})
    content = "prompt,response\n" + "a,b\n" * 400
    with TestClient(create_app(settings), headers=team.headers) as client:
        assert client.post("/datasets?name=a", content=content.encode()).status_code == 413


def test_labels_become_emotions_by_a_preset_or_a_mapping(client: TestClient) -> None:
    content = b'text,labels\nI did it!,"17,13"\nHm.,neutral\n'
    by_preset = upload(client, content, "&mapping=goemotions")
    assert by_preset["report"]["emotions"]["poles"]["joy"]["segment_count"] == 1
    mapping = {"label": "labels", "labels": {"a": {"fear": 0.5}}, "prompt": "Speak."}
    refused = client.post("/datasets", params={"name": "a", "mapping": json.dumps(mapping)}, content=content)
    assert refused.json()["report"]["problem_counts"] == {LABEL_UNKNOWN: 2}


@pytest.mark.parametrize("mapping", ["goemotion", "{", '{"labels": {"a": {"jy": 1}}}', '{"labels": {}, "x": 1}', "{}"])
def test_a_mapping_that_is_none_is_refused(client: TestClient, mapping: str) -> None:
    response = client.post("/datasets", params={"name": "a", "mapping": mapping}, content=b"text\n")
    assert (response.status_code, response.json()["error"]["field"]) == (422, "mapping")


def test_flat_datasets_go_out_as_columns(client: TestClient) -> None:
    dataset_id = upload(client, CSV.encode())["id"]
    response = client.get(f"/datasets/{dataset_id}/file?format=csv")
    assert response.headers["content-disposition"] == f'attachment; filename="{dataset_id}.csv"'
    rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    assert [(row["prompt"], row["response"], row["sadness_joy"]) for row in rows] == [
        ("How was it?", "It was wonderful!", "0.9"),
        ("And then?", "We went home,\nall of us.", ""),
    ]
    table = pq.read_table(io.BytesIO(client.get(f"/datasets/{dataset_id}/file?format=parquet").content))
    assert table["sadness_joy"].to_pylist() == [0.9, None]
    assert len(client.get(f"/datasets/{dataset_id}/file?format=json").json()) == 2


def test_chats_with_tags_go_out_as_messages_and_come_back_equal(client: TestClient) -> None:
    dataset_id = upload(client, LINE.encode() * 2)["id"]
    sizes = set()
    for name in ("csv", "parquet", "json"):
        content = client.get(f"/datasets/{dataset_id}/file?format={name}").content
        again = upload(client, content)["id"]
        lines = client.get(f"/datasets/{again}/file").text.splitlines()
        sizes.add(len(lines))
        assert [parse_example(line, 1) for line in lines] == [parse_example(LINE, 1)] * 2
    assert sizes == {2}


def test_a_download_resumes_where_it_broke_off(client: TestClient, other_client: TestClient) -> None:
    dataset = upload(client, LINE.encode())
    url = f"/datasets/{dataset['id']}/file"
    part = client.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, LINE.encode()[10:20])
    assert part.headers["ETag"] == f'"{dataset["sha256"]}"'
    assert client.head(url).headers["Content-Length"] == str(dataset["size_bytes"])
    made = client.head(f"{url}?format=csv")
    assert (made.status_code, made.headers.get("Content-Length")) == (200, None)
    assert other_client.get(url).status_code == 404
    assert client.get(f"{url}?format=xml").status_code == 422


def test_equal_datasets_of_a_team_are_one_file(
    client: TestClient, other_client: TestClient, settings: Settings
) -> None:
    first, second = upload(client, LINE.encode()), upload(client, LINE.encode())
    theirs = upload(other_client, LINE.encode())
    paths = [settings.data_dir / "datasets" / f"{dataset['id']}.jsonl" for dataset in (first, second, theirs)]
    assert paths[0].samefile(paths[1])
    assert not paths[0].samefile(paths[2])
    assert client.delete(f"/datasets/{first['id']}").status_code == 204
    assert not paths[0].exists()
    assert client.get(f"/datasets/{second['id']}/file").content == LINE.encode()
    third = upload(client, LINE.encode())
    assert paths[1].samefile(settings.data_dir / "datasets" / f"{third['id']}.jsonl")


def test_an_equal_dataset_whose_file_is_gone_is_stored_again(client: TestClient, settings: Settings) -> None:
    first = upload(client, LINE.encode())
    (settings.data_dir / "datasets" / f"{first['id']}.jsonl").unlink()
    second = upload(client, LINE.encode())
    assert client.get(f"/datasets/{second['id']}/file").content == LINE.encode()
