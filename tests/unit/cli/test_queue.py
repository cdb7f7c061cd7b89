"""The output and the options of `emotune queue` and `emotune teams`."""

import pytest

from cli.queue import PlaceUnclear, describe_entry, move
from cli.teams import QuotaUnreadable, describe_team, read_quota

ENTRY = {
    "position": 2,
    "job": {
        "id": "job_1",
        "name": "warm replies",
        "team": "reds",
        "priority_class": "normal",
        "is_pinned": False,
    },
    "reason": {"code": "behind_team", "message": "behind 1 job of your team"},
    "starts_at": "2026-11-26T15:05:01Z",
}


def test_a_place_is_one_line() -> None:
    assert describe_entry(ENTRY) == (
        "    2  job_1  reds  normal  warm replies  behind 1 job of your team  starts about 2026-11-26T15:05 UTC"
    )
    held = ENTRY | {"position": None, "starts_at": None, "reason": {"code": "held", "message": "held: x"}}
    assert describe_entry(held) == "    -  job_1  reds  normal  warm replies  held: x"


@pytest.mark.parametrize(("to", "unpin"), [(None, False), (1, True)])
def test_a_move_needs_a_place_or_unpin(to: int | None, unpin: bool) -> None:
    with pytest.raises(PlaceUnclear, match="--to PLACE"):
        move("job_1", to=to, unpin=unpin)


def test_a_team_is_two_lines() -> None:
    team = {
        "name": "reds",
        "weight": 2.0,
        "share": 0.5,
        "used_share": 0.25,
        "running_count": 1,
        "max_running": 2,
        "queued_count": 3,
        "max_queued": None,
        "window_seconds": 3600.4,
        "max_slot_seconds": 86_400.0,
        "max_priority_class": "urgent",
    }
    assert describe_team(team).splitlines() == [
        "reds  weight 2: share 50%, recently used 25%",
        "  running 1 of 2, waiting 3, slot seconds 3,600 of 86,400, classes up to urgent",
    ]


def test_a_quota_is_a_number_or_none() -> None:
    assert (read_quota("none", int), read_quota("3", int), read_quota("1.5", float)) == (None, 3, 1.5)
    with pytest.raises(QuotaUnreadable):
        read_quota("many", int)
