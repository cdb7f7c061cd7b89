"""The parts of the stack that need no servers."""

import os
import socket
from pathlib import Path

import pytest

from cli.credentials import Credentials, get_credentials, write_local_credentials
from cli.stack import Stack, StackError, _check_private, _find_free_port, ensure_local_key, make_environment
from jobs.access.teams import authenticate, revoke_key
from jobs.database.engine import Database
from jobs.settings import Settings
from tests.unit.conftest import TestTeam

URL = "http://127.0.0.1:8000"


def test_a_folder_that_others_may_write_to_is_no_place_for_a_socket(tmp_path: Path) -> None:
    _check_private(tmp_path)
    tmp_path.chmod(0o777)
    with pytest.raises(StackError, match="other accounts can write"):
        _check_private(tmp_path)


def test_a_link_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(StackError):
        _check_private(link)


def test_a_port_that_is_taken_is_replaced_by_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert _find_free_port("127.0.0.1", port) not in (0, port)


def test_a_slot_of_a_folders_own_database_has_a_short_name(tmp_path: Path) -> None:
    alone = Settings(data_dir=tmp_path, host_name="box")
    shared = Settings(data_dir=tmp_path, host_name="box", database_url="postgresql://db/emotune")
    named = Settings(data_dir=tmp_path, host_name="box", slot="mine")
    assert [Stack(settings).settings.slot for settings in (alone, shared, named)] == ["slot-0", "box-cpu", "mine"]


def test_the_childrens_settings_equal_the_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path, base_models={"a": "/models/a"}, lease_seconds=7.5, trainer_threads=2)
    for name in list(os.environ):
        if name.startswith("EMOTUNE_"):
            monkeypatch.delenv(name)
    for name, value in make_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_the_first_local_key_is_an_operators_and_is_kept(settings: Settings, database: Database) -> None:
    secret = ensure_local_key(settings, URL)
    with database.read() as session:
        assert authenticate(session, secret=secret).is_operator
    assert ensure_local_key(settings, URL) == secret
    assert get_credentials(settings.data_dir) == Credentials(url=URL, api_key=secret)


def test_a_local_key_that_is_no_operators_stays_as_it_is(
    settings: Settings, database: Database, team: TestTeam
) -> None:
    write_local_credentials(settings.data_dir, Credentials(url=URL, api_key=team.secret))
    assert ensure_local_key(settings, URL) == team.secret
    with database.write() as session:
        assert not authenticate(session, secret=team.secret).is_operator
        revoke_key(session, key_id=team.key_id)
    assert ensure_local_key(settings, URL) != team.secret
