"""The real stack on free ports: embedded Valkey, API, Celery workers, real training processes on a tiny Gemma."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.settings import Settings
from tests.support.brakes import Brake
from tests.support.postgres import create_database, find_postgres_binaries, run_postgres
from tests.support.stacks import Installation, make_settings, run_installation
from tests.support.standing import StandingStack

REPOSITORY = Path(__file__).parents[2]

# Each case takes seconds; one that hangs must not take the suite with it.
CASE_SECONDS = 120
# Short, so that a lost worker is noticed soon.
LEASE_SECONDS = 4.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(CASE_SECONDS))


@pytest.fixture(scope="session")
def tiny_gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Gemma, made by another process, since this one needs no torch."""
    folder = tmp_path_factory.mktemp("models") / "tiny-gemma"
    subprocess.run([sys.executable, str(REPOSITORY / "tests" / "support" / "tiny_gemma.py"), str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binaries = find_postgres_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's server programs are not installed")
    with run_postgres(binaries, tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """The URL of an empty database; None is SQLite in the data folder. Tests may choose one by indirect parameters."""
    if request.param == "sqlite":
        return None
    return make_database(request.getfixturevalue("postgres_server"), tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """The kind of database of the standing installation. Tests may choose one by indirect parameters."""
    kind: str = request.param
    return kind


def make_database(server: str, folder: Path) -> str:
    """Make an empty database named after the folder; returns its URL."""
    binaries = find_postgres_binaries()
    assert binaries is not None
    return create_database(binaries, server, f"emotune_{folder.parent.name}_{folder.name}".replace("-", "_"))


@pytest.fixture
def lease_seconds(request: pytest.FixtureRequest) -> float:
    """The seconds that a lease lasts. Tests may choose others by indirect parameters."""
    return getattr(request, "param", LEASE_SECONDS)


@pytest.fixture
def settings(tmp_path: Path, tiny_gemma: Path, database_url: str | None, lease_seconds: float) -> Settings:
    return make_settings(tmp_path / "data", database_url, tiny_gemma, lease_seconds=lease_seconds)


@pytest.fixture
def own_installation(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """A running stack for this test alone, which needs its own settings, or a stack that no other test has used."""
    with Brake(tmp_path / "brake") as brake:
        brake.release()
        for name, value in brake.variables.items():
            monkeypatch.setenv(name, value)
        with run_installation(settings, brake) as installation:
            yield installation


@pytest.fixture
def installation(own_installation: Installation) -> Installation:
    """A running stack with a client of its first key and a dataset. Modules whose tests can share one override this."""
    return own_installation


@pytest.fixture(scope="session")
def standing_sqlite(tmp_path_factory: pytest.TempPathFactory, tiny_gemma: Path) -> Iterator[StandingStack]:
    folder = tmp_path_factory.mktemp("standing-sqlite")
    with StandingStack(folder, make_settings(folder / "data", None, tiny_gemma, lease_seconds=LEASE_SECONDS)) as stack:
        yield stack


@pytest.fixture(scope="session")
def standing_postgresql(
    tmp_path_factory: pytest.TempPathFactory, tiny_gemma: Path, postgres_server: str
) -> Iterator[StandingStack]:
    folder = tmp_path_factory.mktemp("standing-postgresql")
    url = make_database(postgres_server, folder)
    with StandingStack(folder, make_settings(folder / "data", url, tiny_gemma, lease_seconds=LEASE_SECONDS)) as stack:
        yield stack


@pytest.fixture
def standing_installation(
    request: pytest.FixtureRequest, database_kind: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """An installation that many tests share; it is reset after each test."""
    stack: StandingStack = request.getfixturevalue(f"standing_{database_kind}")
    for name, value in stack.brake.variables.items():
        monkeypatch.setenv(name, value)
    yield stack.start()
    stack.put_in_order()
