"""GET /presets: the presets that the form for a new job offers."""

from fastapi.testclient import TestClient

from emomodel.config import PRESETS, TrainConfig, make_config


def test_each_preset_comes_with_its_whole_config(client: TestClient) -> None:
    items = client.get("/presets").json()["items"]
    assert [item["name"] for item in items] == list(PRESETS)
    for item in items:
        assert set(item) == {"name", "description", "config"}
        assert item["description"].endswith(".")
        assert set(item["config"]) == set(TrainConfig.model_fields)
        assert TrainConfig.model_validate(item["config"]) == make_config(item["name"])
