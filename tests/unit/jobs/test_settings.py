"""Settings: their sources, and the values that are derived from them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.settings import MAX_SOCKET_PATH_BYTES, Settings, SettingUnknown, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment with only the variables that a test sets."""
    monkeypatch.chdir(tmp_path)
    for name in ("EMOTUNE_URL", *(f"EMOTUNE_{field.upper()}" for field in Settings.model_fields)):
        monkeypatch.delenv(name, raising=False)


def test_everything_has_a_default_in_one_data_folder(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.data_dir == tmp_path / "data"
    assert settings.sqlalchemy_url == f"sqlite:///{tmp_path}/data/emotune.db"
    assert settings.redis_socket.is_relative_to(settings.data_dir) or len(str(tmp_path)) > 80


def test_variables_override_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTUNE_BASE_MODELS", '{"gemma": "/models/gemma"}')
    monkeypatch.setenv("EMOTUNE_PORT", "9000")
    monkeypatch.setenv("EMOTUNE_API_KEY", "emo_of_the_command_line")
    settings = load_settings()
    assert (settings.base_models, settings.port) == ({"gemma": "/models/gemma"}, 9000)


def test_a_misspelt_variable_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTUNE_PROT", "9000")
    with pytest.raises(SettingUnknown, match="did you mean EMOTUNE_PORT"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 70_000),
        ("slot", "Slot 1"),
        ("slot_device", "tpu"),
        ("lease_seconds", 0),
        ("max_crashes", 0),
        ("max_dataset_bytes", -1),
        ("log_level", "loud"),
        ("unknown", 1),
    ],
)
def test_a_wrong_value_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({name: value})


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://u:p@host/db", "postgresql+psycopg://u:p@host/db"),
        ("postgres://host/db", "postgresql+psycopg://host/db"),
        ("postgresql+psycopg://host/db", "postgresql+psycopg://host/db"),
        ("sqlite:///x.db", "sqlite:///x.db"),
    ],
)
def test_a_database_url_gets_the_installed_driver(given: str, used: str) -> None:
    assert Settings(database_url=given).sqlalchemy_url == used


def test_redis_is_spelt_for_each_client(tmp_path: Path) -> None:
    socket = Settings(data_dir=Path("/data"))
    assert socket.redis_client_url == "unix:///data/redis/redis.sock?db=0"
    assert socket.broker_url == "redis+socket:///data/redis/redis.sock?virtual_host=0"
    remote = Settings(redis_url="redis://host:6379/2")
    assert (remote.redis_client_url, remote.broker_url) == ("redis://host:6379/2", "redis://host:6379/2")


def test_a_socket_path_always_fits() -> None:
    deep = Settings(data_dir=Path("/data") / ("x" * 90))
    other = Settings(data_dir=Path("/data") / ("y" * 90))
    assert len(str(deep.redis_socket).encode()) <= MAX_SOCKET_PATH_BYTES
    assert deep.redis_socket != other.redis_socket
    assert deep.redis_socket == Settings(data_dir=deep.data_dir).redis_socket


def test_a_relative_data_folder_is_made_absolute(tmp_path: Path) -> None:
    assert Settings(data_dir=Path("here")).data_dir == tmp_path / "here"
    assert "~" not in str(Settings(data_dir=Path("~/emotune")).data_dir)


@pytest.mark.parametrize(
    ("given", "slot"),
    [
        ({}, "box-cpu"),
        ({"host_name": "Box_2.Example.com"}, "box-2-example-com-cpu"),
        ({"slot_device": "cuda"}, "box-cuda-0"),
        ({"slot_device": "cuda", "slot_gpu": "3"}, "box-cuda-3"),
        ({"slot_device": "cuda", "slot_gpu": "GPU-3AB1f7c2-0000-0000"}, "box-cuda-3ab1f7c2"),
        ({"slot": "mine", "slot_device": "cuda"}, "mine"),
    ],
)
def test_a_slots_name_has_host_device_and_gpu(
    given: dict[str, Any], slot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert Settings(**{"host_name": "box"} | given).slot == slot


def test_long_names_of_hosts_do_not_make_two_slots_one() -> None:
    names = {Settings(host_name="a" * 80 + end, slot_device="cuda", slot_gpu="12").slot for end in ("-1", "-2")}
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)


@pytest.mark.parametrize(
    ("visible", "gpu"), [("2,3", "2"), ("GPU-3ab1f7c2", "GPU-3ab1f7c2"), ("", "0"), ("-1", "0"), (" 1", "1")]
)
def test_a_slots_gpu_is_the_first_that_cuda_sees(visible: str, gpu: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert Settings().slot_gpu == gpu


@pytest.mark.parametrize("name", ["", "../box", "a/b", ".box"])
def test_a_hosts_name_can_be_part_of_a_path(name: str) -> None:
    with pytest.raises(ValidationError):
        Settings(host_name=name)


GOOD_PASSWORD = "q9Vn3_xTz/7Kd@wLr2:Bm8Ys"  # noqa: S105 - of nothing


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "database.txt"
    path.write_text(GOOD_PASSWORD + "\n")
    return path


def test_passwords_come_from_files_and_are_spelt_for_urls(password_file: Path) -> None:
    settings = Settings(
        database_url="postgresql://emotune@db:5432/emotune?connect_timeout=5",
        database_password_file=password_file,
        redis_url="redis://cache:6379/2",
        redis_password_file=password_file,
    )
    quoted = "q9Vn3_xTz%2F7Kd%40wLr2%3ABm8Ys"
    assert settings.sqlalchemy_url == f"postgresql+psycopg://emotune:{quoted}@db:5432/emotune?connect_timeout=5"
    assert settings.redis_client_url == settings.broker_url == f"redis://:{quoted}@cache:6379/2"
    assert GOOD_PASSWORD not in repr(settings)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no password of 20 characters"),
        ("short", "has no password of 20 characters"),
        ("two words that are long enough", "has no password of 20 characters"),
        ("change-me-change-me-change-me", "'change'"),
        ("a-very-long-Password-indeed", "'password'"),
        ("abababababababababababab", "repeats"),
    ],
)
def test_a_password_that_is_easily_guessed_stops_the_start(text: str, why: str, password_file: Path) -> None:
    password_file.write_text(text)
    with pytest.raises(ValidationError, match=why) as caught:
        Settings(database_url="postgresql://emotune@db/emotune", database_password_file=password_file)
    assert caught.value.errors()[0]["loc"] == ("database_password_file",)


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"can't be read \(No such file"):
        Settings(redis_url="redis://cache", redis_password_file=tmp_path / "missing")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (None, "needs an EMOTUNE_DATABASE_URL with a host"),
        ("sqlite:///x.db", "needs an EMOTUNE_DATABASE_URL with a host"),
        ("postgresql://emotune:another@db/emotune", "keep only one"),
    ],
)
def test_a_password_goes_with_one_url(url: str | None, why: str, password_file: Path) -> None:
    with pytest.raises(ValidationError, match=why):
        Settings(database_url=url, database_password_file=password_file)
