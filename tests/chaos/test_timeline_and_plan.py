"""The suite's own parts: a seed repeats its plan, and planned actions are done in their order."""

import pytest

from tests.chaos.plan import list_kinds, make_plan
from tests.support.timeline import Timeline


@pytest.mark.parametrize("is_sqlite", [True, False])
def test_a_seed_repeats_its_plan_and_another_gives_another(is_sqlite: bool) -> None:
    kinds = list_kinds(is_sqlite=is_sqlite, seconds=60)
    first, again, other = (make_plan(seed, seconds=60, slot_count=2, kinds=kinds) for seed in (7, 7, 8))
    assert first == again != other
    assert len(first) > 15


def test_in_ten_minutes_each_kind_comes() -> None:
    for is_sqlite in (True, False):
        kinds = list_kinds(is_sqlite=is_sqlite, seconds=600)
        plan = make_plan(1, seconds=600, slot_count=3, kinds=kinds)
        assert {fault.kind for fault in plan} == {kind.name for kind in kinds}
        assert len(plan) >= 280
        assert {fault.slot for fault in plan} == {0, 1, 2}


def test_planned_actions_come_in_order_and_may_plan_more() -> None:
    timeline = Timeline()
    done: list[str] = []
    timeline.at(0.04, lambda: done.append("second"))
    timeline.at(0.02, lambda: timeline.after(0.04, lambda: done.append("third")))
    timeline.at(0.01, lambda: done.append("first"))
    timeline.at(9, lambda: done.append("never"))
    assert timeline.run_until(5, stop_when=lambda: len(done) == 3)
    assert done == ["first", "second", "third"]
    assert not timeline.run_until(timeline.now + 0.01)
