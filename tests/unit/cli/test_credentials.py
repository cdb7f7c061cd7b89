"""Which API a command calls, and with which key."""

import stat
from pathlib import Path

import pytest

from cli.credentials import Credentials, CredentialsMissing, get_credentials, write_local_credentials

LOCAL = Credentials(url="http://127.0.0.1:8000", api_key="emo_local")


def test_the_file_of_the_local_stack_is_for_its_owner_only_and_is_found(tmp_path: Path) -> None:
    write_local_credentials(tmp_path, LOCAL)
    assert get_credentials(tmp_path) == LOCAL
    assert stat.S_IMODE((tmp_path / "credentials.json").stat().st_mode) == 0o600


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_local_credentials(tmp_path, LOCAL)
    monkeypatch.setenv("EMOTUNE_URL", "http://box:8000/")
    monkeypatch.setenv("EMOTUNE_API_KEY", "emo_box")
    assert get_credentials(tmp_path) == Credentials(url="http://box:8000", api_key="emo_box")


def test_the_local_key_is_sent_to_no_other_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_local_credentials(tmp_path, LOCAL)
    monkeypatch.setenv("EMOTUNE_URL", "http://box:8000")
    with pytest.raises(CredentialsMissing):
        get_credentials(tmp_path)


def test_without_any_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CredentialsMissing, match="emotune up"):
        get_credentials(tmp_path)
