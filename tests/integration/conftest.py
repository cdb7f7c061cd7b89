"""The real stack on free ports: embedded Valkey, API, Celery workers, real training processes on a tiny Gemma."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.client import Client
from cli.credentials import Credentials
from cli.stack import Stack
from jobs.settings import Settings
from tests.support.postgres import create_database, find_postgres_binaries, run_postgres
from tests.support.stacks import Installation

REPOSITORY = Path(__file__).parents[2]

# Each case takes seconds; one that hangs must not take the suite with it.
CASE_SECONDS = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(CASE_SECONDS))


@pytest.fixture(scope="session")
def tiny_gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by a process of its own, as this one has no need of torch."""
    folder = tmp_path_factory.mktemp("models") / "tiny-gemma"
    subprocess.run([sys.executable, str(REPOSITORY / "tests" / "tiny_gemma.py"), str(folder)], check=True)
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
    """Of an empty database; None is SQLite in the data folder. Tests may ask for one kind by indirect parameters."""
    if request.param == "sqlite":
        return None
    server: str = request.getfixturevalue("postgres_server")
    binaries = find_postgres_binaries()
    assert binaries is not None
    return create_database(binaries, server, f"emotune_{tmp_path.parent.name}_{tmp_path.name}".replace("-", "_"))


@pytest.fixture
def lease_seconds(request: pytest.FixtureRequest) -> float:
    """Short, so that a lost worker is missed soon. Tests may ask for another by indirect parameters."""
    return getattr(request, "param", 4.0)


@pytest.fixture
def settings(tmp_path: Path, tiny_gemma: Path, database_url: str | None, lease_seconds: float) -> Settings:
    """Quick signs of life and a short lease, so that a lost worker is missed soon."""
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        base_models={"tiny-gemma": str(tiny_gemma)},
        port=0,
        host_name="box-a",
        min_free_disk_bytes=0,
        heartbeat_seconds=0.5,
        metric_flush_seconds=0.5,
        lease_seconds=lease_seconds,
        sweep_seconds=1,
        worker_seen_seconds=3,
        stop_grace_seconds=10,
        kill_grace_seconds=3,
        trainer_threads=1,
    )


@pytest.fixture
def installation(settings: Settings) -> Iterator[Installation]:
    """A running stack with a client of its first key and a dataset."""
    with Stack(settings) as stack, Client(Credentials(url=stack.url, api_key=stack.api_key)) as client:
        dataset = client.upload_dataset(REPOSITORY / "samples" / "chats.jsonl", "chats")
        installation = Installation(stack, client, dataset["id"])
        yield installation
        installation.end()
