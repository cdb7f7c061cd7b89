"""The app over a real database, in this process."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.main import create_app
from emomodel.protocol.progress import Metric
from jobs.access.teams import create_key, get_or_create_team
from jobs.database.engine import Database
from jobs.files.keys import make_dataset_key
from jobs.files.storage import Storage
from jobs.models import Artifact, Dataset, Job
from jobs.runs import claims
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.settings import Settings
from tests.support.posting import post_job
from tests.unit.conftest import TestTeam


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def anonymous(app: FastAPI) -> Iterator[TestClient]:
    """A client that sends no key. Errors of the service come back as responses, as they do for a real client."""
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(app: FastAPI, anonymous: TestClient, team: TestTeam) -> TestClient:
    """A client with the key of `team`."""
    return TestClient(app, headers=team.headers, raise_server_exceptions=False)


@pytest.fixture
def other_client(app: FastAPI, anonymous: TestClient, other_team: TestTeam) -> TestClient:
    """A client with the key of another team."""
    return TestClient(app, headers=other_team.headers, raise_server_exceptions=False)


@pytest.fixture
def operator(app: FastAPI, anonymous: TestClient, database: Database) -> TestClient:
    """A client with an operator's key, which belongs to a team of its own."""
    with database.write() as session:
        team = get_or_create_team(session, name="operators")
        _, secret = create_key(session, team=team, name="desk", is_operator=True)
    return TestClient(app, headers={"Authorization": f"Bearer {secret}"}, raise_server_exceptions=False)


@pytest.fixture
def request_body(dataset: Dataset) -> dict[str, Any]:
    """The request body of a job with all defaults."""
    return {"dataset_id": dataset.id, "base_model": "tiny-gemma"}


@pytest.fixture
def make_job(database: Database, dataset: Dataset) -> Callable[..., Job]:
    """Return a function that queues a job of the dataset's team without the HTTP API."""

    def make(name: str = "warm", priority: int = 0) -> Job:
        with database.write() as session:
            return post_job(session, dataset, name=name, priority=priority)

    return make


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the app logged; it is collected instead of printed."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as entries:
        yield entries


@pytest.fixture
def make_metric() -> Callable[[int], Metric]:
    """Return a function that builds the metric of a step, out of ten steps."""

    def make(step: int) -> Metric:
        return Metric(
            step=step,
            total_steps=10,
            epoch=step / 10,
            loss=float(step),
            lora_learning_rate=1e-4,
            emotion_learning_rate=1e-3,
            tokens_per_second=100.0,
            token_count=100 * step,
            elapsed_seconds=float(step),
            eta_seconds=10.0 - step,
            memory_bytes=1,
        )

    return make


@pytest.fixture
def make_succeeded_job(database: Database, settings: Settings, make_job: Callable[..., Job]) -> Callable[[bytes], str]:
    """Return a function that makes a succeeded job whose bundle has the given content, and returns the job's id."""

    def make(content: bytes) -> str:
        job_id = make_job().id
        source = settings.data_dir / "source.zip"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(content)
        size_bytes, sha256 = Storage(settings.data_dir).put_artifact(job_id, "bundle.zip", source)
        artifact = Artifact(
            job_id=job_id,
            kind="bundle",
            filename="bundle.zip",
            media_type="application/zip",
            size_bytes=size_bytes,
            sha256=sha256,
        )
        with database.write() as session:
            claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
            run_ends.succeed(
                session, job_id=job_id, attempt=1, end=RunEnd(0), artifacts=[artifact], message="Done.", result={}
            )
        return job_id

    return make


@pytest.fixture
def job_id(make_succeeded_job: Callable[[bytes], str]) -> str:
    """The id of a succeeded job with a bundle of a few bytes."""
    return make_succeeded_job(b"PK bundle")


@pytest.fixture
def dataset_id(dataset: Dataset, settings: Settings) -> str:
    """The id of a dataset whose file is in the storage too."""
    line = b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}'
    path = Storage(settings.data_dir).root / make_dataset_key(dataset.id)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(line.ljust(dataset.size_bytes - 1) + b"\n")
    return dataset.id
