"""Statistics and preview of a dataset over HTTP."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from jobs.data import insights
from jobs.files.storage import Storage
from jobs.settings import Settings
from tests.support.tiny_tokenizer import write_tiny_tokenizer
from worker.housekeeping.statistics import compute_waiting

ROOT = Path(__file__).resolve().parents[4]


def make_lines(count: int = 3) -> bytes:
    reply = "<emo joy=0.9>I am happy.</emo> It was fine."
    messages = [{"role": "user", "content": "How was it?"}, {"role": "assistant", "content": reply}]
    return (json.dumps({"messages": messages}) + "\n").encode() * count


@pytest.fixture(autouse=True)
def tokenizer(settings: Settings) -> Path:
    return write_tiny_tokenizer(Path(settings.base_models["tiny-gemma"]))


@pytest.fixture
def url(client: TestClient) -> str:
    """The URL of an uploaded dataset."""
    return upload(client, make_lines())


def upload(client: TestClient, content: bytes) -> str:
    answer = client.post("/datasets?name=chats", content=content, headers={"Content-Type": "application/jsonl"})
    assert answer.status_code == 201, answer.text
    return f"/datasets/{answer.json()['id']}"


def get(client: TestClient, url: str, **params: Any) -> dict[str, Any]:
    answer = client.get(url, params={"base_model": "tiny-gemma"} | params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_statistics(client: TestClient, url: str) -> None:
    body = get(client, f"{url}/statistics", max_length=40)
    assert body["base_model"] == "tiny-gemma"
    assert len(body["tokenizer_sha256"]) == 64
    statistics = body["statistics"]
    assert (statistics["example_count"], statistics["max_length"]) == (3, 40)
    assert statistics["duplicates"] == {
        "count": 2,
        "pairs": [{"line": 2, "like_line": 1}, {"line": 3, "like_line": 1}],
    }
    assert statistics["emotions"]["poles"]["joy"]["mean_intensity"] == 0.9
    assert "anger" in str(statistics["warnings"])
    assert get(client, f"{url}/statistics")["statistics"]["max_length"] == 256


def test_a_large_dataset_is_answered_later(client: TestClient, settings: Settings) -> None:
    url = upload(client, make_lines(insights.SMALL_BYTES // len(make_lines(1)) + 1))
    answer = client.get(f"{url}/statistics?base_model=tiny-gemma")
    assert answer.status_code == 202
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["status"] == "computing"
    compute_waiting(settings, Storage(settings.data_dir))
    assert get(client, f"{url}/statistics")["statistics"]["example_count"] > 1000


def test_a_failure_is_reported(client: TestClient, settings: Settings) -> None:
    url = upload(client, make_lines(insights.SMALL_BYTES // len(make_lines(1)) + 1))
    assert client.get(f"{url}/statistics?base_model=tiny-gemma").status_code == 202
    store = insights.StatisticsStore(Storage(settings.data_dir))
    store.fail(next(store.list_waiting()), "Out of luck.")
    answer = client.get(f"{url}/statistics?base_model=tiny-gemma")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "statistics_failed"


def test_preview(client: TestClient, url: str) -> None:
    body = get(client, f"{url}/preview", limit=2, max_length=20)
    assert (body["max_length"], body["emotion_span"], body["next_offset"]) == (20, "lead", 2)
    assert len(body["items"]) == 2
    first = body["items"][0]
    assert (first["line"], first["is_truncated"], len(first["tokens"])) == (1, True, 20)
    assert first["tokens"][0] == {
        "id": first["tokens"][0]["id"],
        "text": "<bos>",
        "emotion": [0.9, *[0.0] * 7],
        "is_target": False,
    }
    assert len(body["axes"]) == 8
    rest = get(client, f"{url}/preview", offset=2, emotion_span="token")
    assert (len(rest["items"]), rest["next_offset"]) == (1, None)
    assert not any(rest["items"][0]["tokens"][0]["emotion"])
    text = "".join(token["text"] for token in rest["items"][0]["tokens"])
    assert text.endswith("<start_of_turn>model\nI am happy. It was fine.<end_of_turn>\n")


@pytest.mark.parametrize("view", ["statistics", "preview"])
def test_another_teams_dataset_is_not_there(other_client: TestClient, client: TestClient, url: str, view: str) -> None:
    answer = other_client.get(f"{url}/{view}?base_model=tiny-gemma")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "dataset_not_found")


@pytest.mark.parametrize("view", ["statistics", "preview"])
@pytest.mark.parametrize(
    ("params", "status", "code", "field"),
    [
        ({}, 422, "request_invalid", "base_model"),
        ({"base_model": "tiny-llama"}, 422, "base_model_unknown", "base_model"),
        ({"base_model": "tiny-gemma", "max_length": 7}, 422, "request_invalid", "max_length"),
        ({"base_model": "tiny-gemma", "length": 7}, 422, "request_invalid", "length"),
    ],
)
def test_what_is_asked_wrongly(
    client: TestClient, url: str, view: str, params: dict[str, Any], status: int, code: str, field: str
) -> None:
    answer = client.get(f"{url}/{view}", params=params)
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["field"]) == (
        status,
        code,
        field,
    )


@pytest.mark.parametrize(
    "params", [{"limit": 51}, {"limit": 0}, {"offset": -1}, {"offset": 10**20}, {"emotion_span": "none"}]
)
def test_a_preview_has_bounds(client: TestClient, url: str, params: dict[str, Any]) -> None:
    assert client.get(f"{url}/preview", params={"base_model": "tiny-gemma"} | params).status_code == 422


@pytest.mark.parametrize("view", ["statistics", "preview"])
def test_a_base_model_without_tokenizer_is_refused(client: TestClient, url: str, tokenizer: Path, view: str) -> None:
    (tokenizer / "tokenizer.json").unlink()
    answer = client.get(f"{url}/{view}?base_model=tiny-gemma")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "tokenizer_unusable")
    assert "holds no tokenizer.json" in answer.json()["error"]["message"]


def test_no_heavy_library_makes_the_answers(tokenizer: Path, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_bytes(make_lines())
    code = f"""
import sys
from pathlib import Path
import api.main
from emomodel.emotions import DEFAULT_AXES
from emomodel.insights.preview import preview_page
from emomodel.insights.token_statistics import compute_statistics
from jobs.base_models.base_model import ListedModel
from jobs.data.insights import load_tokenizer
chat_format = load_tokenizer(ListedModel("tiny", {str(tokenizer)!r})).chat_format
path = Path({str(tmp_path / "data.jsonl")!r})
assert compute_statistics(path, DEFAULT_AXES, chat_format, 64).example_count == 3
preview_page(path, DEFAULT_AXES, chat_format, offset=0, limit=1, max_length=64, rule="lead")
print({{"torch", "transformers", "numpy"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
