"""What the stack test reads from docker-compose.yml: no service is passed over, and the order is the file's."""

from dataclasses import replace

import pytest

from tests.stack.machine import NOT_STARTED, PROFILES
from tests.stack.services import (
    Condition,
    HealthCheck,
    Service,
    list_in_order,
    parse_seconds,
    pick_started,
    read_services,
)
from tests.support.containers import load_compose

SERVICES = read_services(load_compose())


def make_service(name: str, *needs: str) -> Service:
    conditions: dict[str, Condition] = dict.fromkeys(needs, "service_healthy")
    return replace(SERVICES["check"], name=name, needs=conditions, profiles=frozenset())


def test_each_service_of_the_file_is_started_or_listed_as_left_out() -> None:
    started = pick_started(SERVICES, profiles=PROFILES, not_started=NOT_STARTED)
    assert started.keys() | NOT_STARTED.keys() >= SERVICES.keys()
    assert {name for name, service in started.items() if service.is_one_shot} == {"check", "migrate"}


def test_a_service_that_nobody_starts_is_not_passed_over() -> None:
    added = replace(make_service("exporter"), profiles=frozenset({"monitoring"}))
    services = {**SERVICES, "exporter": added}
    with pytest.raises(ValueError, match="exporter"):
        pick_started(services, profiles=PROFILES, not_started=NOT_STARTED)
    assert "exporter" not in pick_started(services, profiles=PROFILES, not_started=[*NOT_STARTED, "exporter"])
    assert "exporter" in pick_started(services, profiles=["monitoring", *PROFILES], not_started=NOT_STARTED)


def test_each_service_comes_after_what_it_needs() -> None:
    names = [service.name for service in list_in_order(SERVICES)]
    assert sorted(names) == sorted(SERVICES)
    for service in SERVICES.values():
        assert all(names.index(other) < names.index(service.name) for other in service.needs)


@pytest.mark.parametrize("needs", [("first",), ("nobody",)])
def test_a_service_that_can_never_start_is_refused(needs: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="first"):
        list_in_order({"first": make_service("first", *needs)})


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60), ("1m30s", 90), ("2h", 7200), ("500ms", 0.5)])
def test_durations_are_those_of_compose(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "60", "s", "1 m", "1d"])
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_seconds(text)


def test_a_service_is_read_as_it_is_declared() -> None:
    worker = SERVICES["worker-0"]
    assert (worker.is_ours, worker.argv, worker.stop_seconds) == (True, ("worker",), 60)
    assert worker.health == HealthCheck(
        ("emotune", "health", "worker"), interval=30, timeout=15, retries=3, start_period=60
    )
    assert worker.mounts == {"/data": "/srv/emotune/data", "/models": "/srv/emotune/models"}
    assert worker.needs == {"migrate": "service_completed_successfully", "valkey": "service_healthy"}
    valkey = SERVICES["valkey"]
    assert valkey.mounts == {"/data": "valkey", "/etc/valkey": "./deploy"}
    assert (valkey.is_ours, valkey.secrets, SERVICES["api"].stop_seconds) == (False, ("redis_password",), 10)
