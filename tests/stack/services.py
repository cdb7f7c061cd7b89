"""The services of docker-compose.yml as they are declared: what each runs, needs, and is healthy by."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Condition = Literal["service_completed_successfully", "service_healthy"]

# Compose's own, where a service names none.
DEFAULT_STOP_PERIOD = "10s"

_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True)
class HealthCheck:
    """A command whose exit code says whether a service is healthy, and how often it is run. All times in seconds."""

    argv: tuple[str, ...]
    interval: float
    timeout: float
    retries: int
    start_period: float

    @property
    def patience(self) -> float:
        """From its start until a service that was never well counts as unhealthy."""
        return self.start_period + self.retries * (self.interval + self.timeout)


@dataclass(frozen=True)
class Service:
    """One of the file, with its mounts as folders of the containers' host: target -> source."""

    name: str
    # Whether its image is one of ours, whose command is `emotune`.
    is_ours: bool
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    needs: Mapping[str, Condition]
    health: HealthCheck | None
    is_one_shot: bool
    stop_seconds: float
    mounts: Mapping[str, str]
    secrets: tuple[str, ...]
    profiles: frozenset[str]


def read_services(compose: Mapping[str, Any]) -> dict[str, Service]:
    """All of a file whose variables are filled in."""
    volumes = {name: _get_device(volume) for name, volume in compose["volumes"].items()}
    return {name: _read_service(name, entry, volumes) for name, entry in compose["services"].items()}


def pick_started(
    services: Mapping[str, Service], *, profiles: Iterable[str], not_started: Iterable[str]
) -> dict[str, Service]:
    """What Compose starts with these profiles. Raises ValueError for a service that would be passed over in silence."""
    active, left_out = set(profiles), set(not_started)
    started = {name: service for name, service in services.items() if not service.profiles or service.profiles & active}
    forgotten = services.keys() - started.keys() - left_out
    if forgotten:
        raise ValueError(f"{', '.join(sorted(forgotten))}: neither started here nor listed as left out")
    return {name: service for name, service in started.items() if name not in left_out}


def list_in_order(services: Mapping[str, Service]) -> list[Service]:
    """Each after all that it needs. Raises ValueError for one that needs itself, or what isn't there."""
    ordered: dict[str, Service] = {}
    while len(ordered) < len(services):
        ready = [
            service
            for name, service in services.items()
            if name not in ordered and service.needs.keys() <= ordered.keys()
        ]
        if not ready:
            raise ValueError(f"what these need is never there: {', '.join(sorted(services.keys() - ordered.keys()))}")
        ordered |= {service.name: service for service in ready}
    return list(ordered.values())


def parse_seconds(text: str) -> float:
    """A duration such as 60s or 1m30s."""
    parts = re.findall(r"(\d+)(ms|[hms])", text)
    if "".join(map("".join, parts)) != text or not parts:
        raise ValueError(f"{text!r} is no duration such as 1m30s")
    return sum(int(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def _read_service(name: str, entry: Mapping[str, Any], volumes: Mapping[str, str | None]) -> Service:
    return Service(
        name=name,
        is_ours="build" in entry,
        argv=(*entry.get("entrypoint", ()), *entry.get("command", ())),
        environment=entry.get("environment", {}),
        needs={other: wait["condition"] for other, wait in entry.get("depends_on", {}).items()},
        health=_read_health(entry.get("healthcheck", {"disable": True})),
        is_one_shot=entry["restart"] == "no",
        stop_seconds=parse_seconds(entry.get("stop_grace_period", DEFAULT_STOP_PERIOD)),
        mounts=dict(_read_mount(mount, volumes) for mount in entry.get("volumes", ())),
        secrets=tuple(entry.get("secrets", ())),
        profiles=frozenset(entry.get("profiles", ())),
    )


def _read_health(entry: Mapping[str, Any]) -> HealthCheck | None:
    if entry.get("disable"):
        return None
    kind, *argv = entry["test"]
    if kind != "CMD":
        raise ValueError(f"a health check by {kind}, which needs a shell of the container: {argv}")
    interval, timeout, start = (parse_seconds(entry[name]) for name in ("interval", "timeout", "start_period"))
    return HealthCheck(tuple(argv), interval, timeout, int(entry["retries"]), start)


def _read_mount(mount: str | Mapping[str, Any], volumes: Mapping[str, str | None]) -> tuple[str, str]:
    """A volume without a folder of the host keeps its name."""
    if isinstance(mount, str):
        source, target = mount.split(":")[:2]
    else:
        source, target = mount["source"], mount["target"]
    return target, volumes.get(source) or source


def _get_device(volume: Mapping[str, Any] | None) -> str | None:
    device: str | None = (volume or {}).get("driver_opts", {}).get("device")
    return device
