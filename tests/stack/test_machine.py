"""What replaces the containers: paths, hosts and ports are this machine's, and nothing else is changed."""

import re
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest

from tests.stack.machine import CPU_SLOT, Machine
from tests.support.nginx import TEMPLATE, without_tls

THEIRS = re.compile(r"(?<![\w./])/(data|models|run/secrets|etc)(?![\w-])|postgres:5432|valkey:6379|0\.0\.0\.0")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("name", ["check", "migrate", "api", "housekeeping", "worker-0", "worker-1"])
def test_a_service_of_ours_is_moved_here_and_runs_the_same_command(machine: Machine, name: str) -> None:
    service = machine.services[name]
    launch = machine.translate(service)
    assert launch.argv == (ANY, "-m", "cli", *service.argv)
    if service.health is not None:
        assert launch.health_argv == (ANY, "-m", "cli", *service.health.argv[1:])
    assert {variable: value for variable, value in launch.environment.items() if THEIRS.search(value)} == {}
    assert service.environment.keys() <= launch.environment.keys()
    kept = {
        "EMOTUNE_HOST_NAME",
        "EMOTUNE_LOG_LEVEL",
        "HF_HUB_OFFLINE",
        "FORWARDED_ALLOW_IPS",
    } & service.environment.keys()
    assert {each: launch.environment[each] for each in kept} == {each: service.environment[each] for each in kept}


def test_only_what_is_mounted_is_shared(machine: Machine) -> None:
    api, migrate, worker = (machine.translate(machine.services[name]) for name in ("api", "migrate", "worker-0"))
    shared = str(machine.folder / "data")
    assert api.environment["EMOTUNE_DATA_DIR"] == worker.environment["EMOTUNE_DATA_DIR"] == shared
    assert migrate.environment["EMOTUNE_DATA_DIR"] == str(machine.folder / "roots" / "migrate" / "data")
    password = Path(worker.environment["EMOTUNE_REDIS_PASSWORD_FILE"])
    assert password.parent == machine.folder / "secrets"
    assert len(password.read_text().strip()) > 20


def test_slots_are_cpus_with_names_of_their_own(machine: Machine) -> None:
    for name in ("worker-0", "worker-1"):
        environment = machine.translate(machine.services[name]).environment
        assert environment["EMOTUNE_SLOT"] == name
        assert environment.items() >= CPU_SLOT.items()
    assert "EMOTUNE_SLOT" not in machine.translate(machine.services["housekeeping"]).environment


def test_an_image_that_nothing_stands_for_is_told(machine: Machine) -> None:
    with pytest.raises(ValueError, match="another"):
        machine.translate(replace(machine.services["valkey"], name="another"))


def test_the_proxy_without_tls_is_the_same_otherwise() -> None:
    text = TEMPLATE.read_text()
    plain = without_tls(text)
    assert [word for word in ("ssl", "Strict-Transport-Security") if word in plain] == []
    lost = [line.strip() for line in text.splitlines() if line not in plain.splitlines()]
    assert [line for line in lost if not re.match(r"ssl_|listen 8443 ssl;|add_header Strict", line)] == []
