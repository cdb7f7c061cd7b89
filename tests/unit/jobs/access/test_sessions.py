"""Sessions and login codes on the real schema."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from jobs.access import sessions
from jobs.access.teams import authenticate
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.errors import CsrfTokenInvalid, LoginCodeInvalid, SessionInvalid
from jobs.models import LoginCode, WebSession
from tests.unit.conftest import TestTeam


def test_a_session_is_the_caller_that_its_key_is(database: Database, team: TestTeam, other_team: TestTeam) -> None:
    for owner in (team, other_team):
        with database.write() as session:
            _, secret = sessions.create_session(session, key_id=owner.key_id, expire_seconds=60)
        with database.read() as session:
            assert sessions.authenticate(session, secret=secret) == authenticate(session, secret=owner.secret)
            with pytest.raises(SessionInvalid):
                sessions.authenticate(session, secret=owner.secret)


def test_the_csrf_token_differs_by_session_and_does_not_reveal_the_secret() -> None:
    token = sessions.get_csrf_token("one")
    assert token == sessions.get_csrf_token("one") != sessions.get_csrf_token("other")
    assert "one" not in token
    sessions.check_csrf_token("one", token)
    for wrong in ("", token[:-1], token.upper(), sessions.get_csrf_token("other"), "é"):
        with pytest.raises(CsrfTokenInvalid):
            sessions.check_csrf_token("one", wrong)


def test_of_two_uses_of_a_code_one_succeeds(database: Database, team: TestTeam) -> None:
    with database.write() as session:
        _, code = sessions.create_login_code(session, key_id=team.key_id, expire_seconds=60)
        assert sessions.use_login_code(session, code=code) == team.key_id
        with pytest.raises(LoginCodeInvalid):
            sessions.use_login_code(session, code=code)


def test_what_has_expired_is_deleted_and_the_rest_stays(database: Database, team: TestTeam) -> None:
    with database.write() as session:
        for seconds in (60, 3600):
            sessions.create_session(session, key_id=team.key_id, expire_seconds=seconds)
            sessions.create_login_code(session, key_id=team.key_id, expire_seconds=seconds)
        for table in (WebSession, LoginCode):
            soonest = session.scalar(select(func.min(table.expires_at)))
            session.query(table).filter_by(expires_at=soonest).update({"expires_at": utc_now() - timedelta(seconds=1)})
    with database.write() as session:
        sessions.delete_expired(session)
        assert [session.query(table).count() for table in (WebSession, LoginCode)] == [1, 1]
