"""Relative paths in settings mean the folder where the command was started, also in a process that works elsewhere."""

from pathlib import Path

import pytest

from cli.absolute_paths import make_folder_absolute, make_url_absolute, with_absolute_paths
from cli.stack import make_environment
from jobs.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///own.db", "sqlite:///{folder}/own.db"),
        ("sqlite:///./deep/own.db?timeout=9", "sqlite:///{folder}/deep/own.db?timeout=9"),
        ("sqlite+pysqlite:///own.db", "sqlite+pysqlite:///{folder}/own.db"),
        ("sqlite:///file:own.db?mode=rw&uri=true", "sqlite:///file:{folder}/own.db?mode=rw&uri=true"),
        ("sqlite:////var/own.db", "sqlite:////var/own.db"),
        ("sqlite:///file:/var/own.db?uri=true", "sqlite:///file:/var/own.db?uri=true"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file::memory:?uri=true", "sqlite:///file::memory:?uri=true"),
        ("sqlite://", "sqlite://"),
        ("postgresql://u@db/emotune", "postgresql://u@db/emotune"),
        (
            "postgresql://u@db/emotune?sslmode=verify-full&sslrootcert=ca.pem&sslcert=missing.pem",
            "postgresql://u@db/emotune?sslmode=verify-full&sslrootcert={folder}/ca.pem&sslcert=missing.pem",
        ),
        ("postgresql://u@db/emotune?sslrootcert=system", "postgresql://u@db/emotune?sslrootcert=system"),
        ("rediss://cache/0?ssl_ca_certs=ca.pem#x", "rediss://cache/0?ssl_ca_certs={folder}/ca.pem#x"),
        ("unix:///run/redis.sock?db=0", "unix:///run/redis.sock?db=0"),
    ],
)
def test_files_in_urls_become_absolute(url: str, expected: str, folder: Path) -> None:
    (folder / "ca.pem").touch()
    assert make_url_absolute(url) == expected.format(folder=folder)
    assert make_url_absolute(make_url_absolute(url)) == make_url_absolute(url)


def test_base_models_that_are_folders_become_absolute_and_hub_ids_stay(folder: Path) -> None:
    (folder / "models" / "tiny").mkdir(parents=True)
    assert make_folder_absolute("models/tiny") == str(folder / "models" / "tiny")
    assert make_folder_absolute("./coming") == str(folder / "coming")
    assert make_folder_absolute("google/gemma-3-1b-it") == "google/gemma-3-1b-it"
    assert make_folder_absolute("~/tiny") == "~/tiny"
    assert make_folder_absolute("/models/tiny") == "/models/tiny"


def test_a_child_in_another_folder_has_the_same_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "models" / "tiny").mkdir(parents=True)
    (folder / "redis-word").write_text("k3v9-Qx7b-Lm2p-Zt8w-Rf5n\n")
    settings = Settings(
        data_dir=Path("data"),
        database_url="sqlite:///own.db",
        redis_url="redis://cache/0",
        redis_password_file=Path("redis-word"),
        base_models={"tiny": "models/tiny"},
    )
    for name, value in make_environment(settings).items():
        monkeypatch.setenv(name, value)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    read = load_settings()
    assert read.data_dir == settings.data_dir == folder / "data"
    assert read.sqlalchemy_url == f"sqlite:///{folder}/own.db"
    assert read.redis_password_file == folder / "redis-word"
    assert read.base_models == {"tiny": str(folder / "models" / "tiny")}
    # Paths that are already absolute stay as they are.
    assert with_absolute_paths(read) == read
