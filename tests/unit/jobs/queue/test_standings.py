"""Teams with their weights, quotas and shares."""

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.errors import TeamNotFound
from jobs.queue import standings
from jobs.queue.rules import QueueRules
from jobs.runs import claims
from tests.support.queues import add_slot, add_team, add_waiting

RULES = QueueRules()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """A session with two teams: the reds have three waiting jobs, the blues two, each expected to take 100 s."""
    with database.write() as session:
        add_slot(session, "slot-0", utc_now())
        teams = [add_team(session, name).id for name in ("reds", "blues")]
        for number in range(5):
            add_waiting(session, teams[number % 2], expected_seconds=100.0)
        yield session


def test_teams_are_changed_by_name_or_id_and_a_quota_can_be_taken_away(session: Session) -> None:
    team = standings.change_team(session, name="reds", changes={"weight": 3.0, "max_running": 1, "max_queued": 5})
    standings.change_team(session, name=team.id, changes={"max_queued": None})
    assert (team.weight, team.max_running, team.max_queued) == (3.0, 1, None)
    with pytest.raises(TeamNotFound):
        standings.change_team(session, name="greens", changes={"weight": 1.0})


def test_teams_are_listed_with_their_shares(session: Session) -> None:
    standings.change_team(session, name="reds", changes={"weight": 3.0})
    claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
    session.flush()
    blues, reds = standings.list_teams(session, rules=RULES)
    assert (blues.team.name, blues.share, reds.share) == ("blues", 0.25, 0.75)
    assert (reds.standing.running_count, reds.queued_count, blues.queued_count) == (1, 2, 2)
    assert (reds.used_share, blues.used_share) == (1, 0)
    assert reds.standing.window_seconds == 100
