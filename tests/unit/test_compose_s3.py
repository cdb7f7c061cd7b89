"""The Compose file that is used beside the main one by an installation with an object store."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.settings import PREFIX, load_settings
from tests.support.containers import FILLED, ROOT, VariableMissing, load_compose

FILE = ROOT / "deploy" / "docker-compose.s3.yml"
CHOSEN = FILLED | {"EMOTUNE_STORAGE_URL": "s3://tunes/emotune", "EMOTUNE_STORAGE_KEY_ID": "emotune"}
MAIN, ADDED = load_compose(), load_compose(CHOSEN, file=FILE)


def merge(main: dict[str, Any], added: dict[str, Any]) -> dict[str, Any]:
    """Merge two files as Compose does: mappings by key, and lists one after the other."""
    merged = dict(main)
    for key, value in added.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = merge(old, value)
        else:
            merged[key] = old + value if isinstance(old, list) and isinstance(value, list) else value
    return merged


def test_the_bucket_and_its_key_have_to_be_named() -> None:
    for name in ("EMOTUNE_STORAGE_URL", "EMOTUNE_STORAGE_KEY_ID"):
        with pytest.raises(VariableMissing, match=name):
            load_compose({key: value for key, value in CHOSEN.items() if key != name}, file=FILE)


def test_both_files_together_follow_the_specification() -> None:
    py_compose = pytest.importorskip("compose_spec").PyCompose
    merged = merge(MAIN, {key: value for key, value in ADDED.items() if not key.startswith("x-")})
    assert set(py_compose.from_yaml(yaml.safe_dump(merged)).service_names()) == set(MAIN["services"])


def test_all_that_use_files_reach_the_store_and_the_database_does_not() -> None:
    """Services that mount the data folder work with files; `check` reads all settings before anything starts."""
    users = {
        name
        for name, service in MAIN["services"].items()
        if any(isinstance(each, dict) and each.get("target") == "/data" for each in service.get("volumes", []))
        and "EMOTUNE_DATA_DIR" in service.get("environment", {})
    }
    assert set(ADDED["services"]) - {"check"} == users - {"migrate"}
    assert {name for name, service in ADDED["services"].items() if service["networks"]} == users - {"migrate"}
    assert MAIN["networks"]["backend"]["internal"] is True


@pytest.mark.parametrize("name", sorted(ADDED["services"]))
def test_the_settings_are_taken(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [variable for variable in os.environ if variable.startswith(PREFIX)]:
        monkeypatch.delenv(variable)
    secret = tmp_path / "storage_secret"
    secret.write_text("0f1e2d3c4b5a69788796a5b4c3d2e1f0\n")
    service = ADDED["services"][name]
    assert set(service["secrets"]) == set(ADDED["secrets"])
    for variable, value in service["environment"].items():
        monkeypatch.setenv(variable, value.replace("/run/secrets/storage_secret", str(secret)))
    assert load_settings().storage_secret == secret.read_text().strip()
