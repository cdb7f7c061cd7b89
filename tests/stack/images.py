"""The programs that replace foreign images on this machine: PostgreSQL, Redis and nginx of Debian."""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.stack.services import Service
from tests.support.nginx import find_nginx, render_template, without_tls
from tests.support.postgres import find_postgres_binaries, make_owner_prefix


class ProgramMissing(Exception):
    """A program that replaces an image is not installed."""


@dataclass(frozen=True)
class Launch:
    """A service as this machine runs it. `prepare` is what its image's entry point does first."""

    service: Service
    argv: tuple[str, ...]
    health_argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path
    prepare: Callable[[], None]


@dataclass(frozen=True)
class Place:
    """Where a service is put: its own folder, the machine's, the ports of all, and where its paths are here."""

    service: Service
    root: Path
    folder: Path
    ports: Mapping[str, int]
    environment: Mapping[str, str]
    move: Callable[[str], str]


def translate_postgres(place: Place) -> Launch:
    """The server programs of this machine; its entry point makes the cluster."""
    binaries = find_postgres_binaries()
    if binaries is None:
        raise ProgramMissing("PostgreSQL's server programs (Debian: apt-get install postgresql)")
    folder = place.folder / "volumes" / "postgres"
    folder.mkdir(parents=True, exist_ok=True)
    as_owner = make_owner_prefix(folder)
    _, *options = place.service.argv
    own = {"listen_addresses": "127.0.0.1", "port": place.ports["postgres"], "unix_socket_directories": folder}
    options += [part for name, value in own.items() for part in ("-c", f"{name}={value}")]
    assert place.service.health is not None
    program, *asked = place.service.health.argv
    return Launch(
        place.service,
        argv=(*as_owner, str(binaries / "postgres"), "-D", str(folder / "cluster"), *options),
        health_argv=(str(binaries / program), *asked, f"--port={place.ports['postgres']}"),
        environment=place.environment,
        cwd=folder,
        prepare=lambda: _make_cluster(binaries, folder / "cluster", as_owner, place.environment),
    )


def translate_valkey(place: Place) -> Launch:
    """Redis, under the names that the mounted scripts call."""
    port = str(place.ports["valkey"])
    _write_program(place.root / "bin" / "valkey-server", "redis-server", f'"$@" --bind 127.0.0.1 --port {port}')
    _write_program(place.root / "bin" / "valkey-cli", "redis-cli", f'-p {port} "$@"')
    assert place.service.health is not None
    return Launch(
        place.service,
        argv=tuple(map(place.move, place.service.argv)),
        health_argv=tuple(map(place.move, place.service.health.argv)),
        environment=place.environment,
        cwd=Path(place.move("/data")),
        prepare=do_nothing,
    )


def translate_proxy(place: Place) -> Launch:
    """nginx, with the template filled in as its entry point does it, but without TLS."""
    nginx = find_nginx()
    if nginx is None:
        raise ProgramMissing("nginx (Debian: apt-get install nginx-light)")
    _, *arguments = place.service.argv
    moves = {
        "/tmp/": f"{place.root / 'tmp'}/",  # noqa: S108 - the container's
        "listen 8080": f"listen 127.0.0.1:{place.ports['redirect']}",
        "listen 8443": f"listen 127.0.0.1:{place.ports['proxy']}",
        "http://api:8000": f"http://127.0.0.1:{place.ports['api']}",
    }
    template = without_tls(render_template(place.environment, moves, nginx=nginx))
    (place.root / "tmp" / "nginx.conf").write_text(template)
    assert place.service.health is not None
    url = f"http://127.0.0.1:{place.ports['proxy']}"
    return Launch(
        place.service,
        argv=(nginx, "-e", "stderr", *map(place.move, arguments)),
        # BusyBox's, in the image, has the same options.
        health_argv=tuple(each.replace("https://127.0.0.1:8443", url) for each in place.service.health.argv),
        environment=place.environment,
        cwd=place.root,
        prepare=do_nothing,
    )


def _make_cluster(binaries: Path, data: Path, as_owner: list[str], environment: Mapping[str, str]) -> None:
    """What the image does with an empty volume: a cluster with the password from the file, and the database."""
    if data.exists():
        return
    user, database = environment["POSTGRES_USER"], environment["POSTGRES_DB"]
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", user, "-E", "UTF8", "--no-sync"]
    initdb += [f"--pwfile={environment['POSTGRES_PASSWORD_FILE']}", *environment["POSTGRES_INITDB_ARGS"].split()]
    single = [str(binaries / "postgres"), "--single", "-D", str(data), "postgres"]
    for argv, said in ((initdb, ""), (single, f'CREATE DATABASE "{database}"\n')):
        subprocess.run([*as_owner, *argv], input=said, text=True, check=True, capture_output=True, cwd=data.parent)


def _write_program(path: Path, name: str, arguments: str) -> None:
    """A program of the image by its name there, which is another one here."""
    found = shutil.which(name)
    if found is None:
        raise ProgramMissing(f"{name} (Debian: apt-get install redis-server)")
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\nexec {found} {arguments}\n")
    path.chmod(0o700)


def do_nothing() -> None:
    """An image whose command is started as it is."""


IMAGES: Mapping[str, Callable[[Place], Launch]] = {
    "postgres": translate_postgres,
    "valkey": translate_valkey,
    "proxy": translate_proxy,
}
