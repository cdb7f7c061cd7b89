"""`POST /datasets:validate`: the report of an upload, without the upload."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from jobs.settings import Settings
from tests.unit.api.routes.test_datasets import BAD_LINE, LINE, list_files
from tests.unit.conftest import TestTeam

BLANK_MAPPING = '{"text": " ", "labels": {"a": {}}}'


@pytest.mark.parametrize("form", [False, True], ids=["body", "form"])
def test_a_good_file_gets_the_report_of_an_upload_and_is_not_kept(
    client: TestClient, settings: Settings, form: bool
) -> None:
    url = "/datasets:validate"
    response = client.post(url, files={"file": LINE * 3}) if form else client.post(url, content=LINE * 3)
    assert response.status_code == 200
    assert list_files(settings) == []
    assert client.get("/datasets").json()["items"] == []
    assert response.json() == client.post("/datasets?name=a", content=LINE * 3).json()["report"]


def test_a_bad_file_gets_its_report_too(client: TestClient, settings: Settings) -> None:
    response = client.post("/datasets:validate", content=LINE + BAD_LINE)
    assert response.status_code == 200
    report = response.json()
    assert [(problem["line"], problem["code"]) for problem in report["problems"]] == [(2, "assistant_missing")]
    assert report == client.post("/datasets?name=a", content=LINE + BAD_LINE).json()["report"]
    assert list_files(settings) == []


def test_other_formats_and_own_axes_are_checked_alike(client: TestClient, settings: Settings) -> None:
    table = "prompt,response\nHi,<emo warm>Come in!</emo>\n"
    report = client.post("/datasets:validate?axes=COLD_WARM,SHY_BOLD", content=table).json()
    assert (report["problem_count"], report["example_count"]) == (0, 1)
    assert report["emotions"]["poles"]["warm"]["segment_count"] == 1
    assert client.post("/datasets:validate", content=table).json()["problem_counts"] == {"emotion_unknown": 1}
    assert list_files(settings) == []


def test_what_no_upload_may_send_is_refused_alike(client: TestClient, settings: Settings) -> None:
    assert client.post("/datasets:validate?axes=COLD", content=LINE).json()["error"]["field"] == "axes"
    compressed = client.post("/datasets:validate", content=LINE, headers={"Content-Encoding": "gzip"})
    assert compressed.status_code == 415
    assert client.post("/datasets:validate", content=LINE, headers={"Authorization": "Bearer no"}).status_code == 401
    assert list_files(settings) == []


def test_the_limits_are_those_of_an_upload(settings: Settings, team: TestTeam) -> None:
    settings = settings.model_copy(update={"max_dataset_bytes": 3 * len(LINE.encode()), "max_dataset_lines": 2})
    with TestClient(create_app(settings), headers=team.headers) as client:
        assert client.post("/datasets:validate", content=LINE * 4).status_code == 413
        assert client.post("/datasets:validate", content=LINE * 3).json()["problem_counts"] == {"lines_too_many": 1}
    assert list_files(settings) == []


# Without this limit the test would wait forever for a service that does not answer.
@pytest.mark.timeout(30)
@pytest.mark.parametrize("content", ["", "\n" * 1000, " ", "text,label\n"])
def test_a_mapping_with_a_blank_name_is_refused_whatever_the_file(client: TestClient, content: str) -> None:
    response = client.post("/datasets:validate", params={"mapping": BLANK_MAPPING}, content=content)
    assert response.status_code == 422
    error = response.json()["error"]
    assert (error["code"], error["field"]) == ("invalid", "mapping")
    assert "text: the name ' ' is blank" in error["message"]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("content", ["", "\n" * 1000, " "])
def test_a_file_of_nothing_is_empty_by_any_mapping(client: TestClient, content: str) -> None:
    response = client.post("/datasets:validate", params={"mapping": "goemotions"}, content=content)
    assert response.json()["problem_counts"] == {"file_empty": 1}


def test_a_parquet_file_that_takes_too_much_memory_is_refused_by_its_column(client: TestClient) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"prompt": ["Hi"], "response": ["x" * (100 << 20)]}), sink, compression="zstd")
    (problem,) = client.post("/datasets:validate", content=sink.getvalue()).json()["problems"]
    assert (problem["code"], problem["line"], problem["field"]) == ("parquet_too_large", 1, "response")
