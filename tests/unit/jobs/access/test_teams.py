"""Teams and their keys."""

from datetime import timedelta

import pytest

from jobs.access import teams
from jobs.access.teams import Caller
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.errors import ApiKeyInvalid, ApiKeyNotFound, NameEmpty
from jobs.models import ApiKey
from tests.unit.conftest import TestTeam


def test_a_key_speaks_for_its_team(database: Database, team: TestTeam, other_team: TestTeam) -> None:
    with database.read() as session:
        for owner in (team, other_team):
            caller = teams.authenticate(session, secret=owner.secret)
            assert caller == Caller(key_id=owner.key_id, team_id=owner.id, last_used_at=None, key_name="laptop")


def test_the_secret_is_long_and_not_kept(database: Database, team: TestTeam) -> None:
    assert team.secret.startswith(teams.KEY_PREFIX)
    assert len(team.secret) >= len(teams.KEY_PREFIX) + 43  # the length of 256 bits in base64
    with database.read() as session:
        key = session.get_one(ApiKey, team.key_id)
        assert team.secret not in [getattr(key, column.key) for column in ApiKey.__table__.columns]
        assert team.secret.startswith(key.prefix)
        assert len(key.prefix) < len(team.secret) / 2


@pytest.mark.parametrize("change", ["x{}", "{}x", "{}\n", ""])
def test_another_secret_is_refused(database: Database, team: TestTeam, change: str) -> None:
    with database.read() as session, pytest.raises(ApiKeyInvalid):
        teams.authenticate(session, secret=change.format(team.secret))


def test_a_revoked_key_is_refused_and_keeps_its_first_date(database: Database, team: TestTeam) -> None:
    with database.write() as session:
        first = teams.revoke_key(session, key_id=team.key_id).revoked_at
        assert teams.revoke_key(session, key_id=team.key_id).revoked_at == first
        with pytest.raises(ApiKeyInvalid):
            teams.authenticate(session, secret=team.secret)
        with pytest.raises(ApiKeyNotFound):
            teams.revoke_key(session, key_id="key_unknown")


@pytest.mark.parametrize(
    ("age", "worth"), [(None, True), (timedelta(seconds=30), False), (timedelta(seconds=90), True)]
)
def test_use_is_noted_at_most_once_a_minute(age: timedelta | None, worth: bool) -> None:
    caller = Caller(key_id="key", team_id="team", last_used_at=None if age is None else utc_now() - age)
    assert caller.is_use_worth_noting == worth


def test_noting_the_use_of_a_key_that_has_gone_does_nothing(database: Database, team: TestTeam) -> None:
    with database.write() as session:
        teams.note_use(session, key_id="key_unknown")
        teams.note_use(session, key_id=team.key_id)
    with database.read() as session:
        assert teams.authenticate(session, secret=team.secret).last_used_at is not None


@pytest.mark.parametrize("name", ["", "  "])
def test_a_team_has_a_name(database: Database, name: str) -> None:
    with database.write() as session, pytest.raises(NameEmpty):
        teams.get_or_create_team(session, name=name)


def test_a_team_is_made_once(database: Database, team: TestTeam) -> None:
    with database.write() as session:
        assert teams.get_or_create_team(session, name=team.name).id == team.id


def test_keys_are_listed_with_their_teams(database: Database, team: TestTeam, other_team: TestTeam) -> None:
    with database.read() as session:
        keys = teams.list_keys(session)
        assert [(key.id, key.team.name) for key in keys] == [(team.key_id, "reds"), (other_team.key_id, "blues")]
