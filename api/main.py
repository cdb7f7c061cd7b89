"""create_app: puts the web process together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from api.answers.compression import CompressionMiddleware
from api.answers.shared import SharedAnswers
from api.dashboard import add_dashboard
from api.deps import Services, refuse_unknown_parameters
from api.errors import add_error_handlers, error_responses
from api.middleware import RequestMiddleware
from api.routes import (
    artifacts,
    dataset_checks,
    dataset_insights,
    datasets,
    events,
    health,
    job_stops,
    jobs,
    keys,
    logs,
    metrics,
    models,
    monitoring,
    overview,
    presets,
    queue,
    rows,
    sessions,
    slots,
    teams,
    uploads,
)
from api.telemetry.exposition import make_registry
from api.telemetry.request_meter import RequestMeter
from api.telemetry.request_spans import make_telemetry
from jobs.database.engine import Database
from jobs.database.schema import check_schema
from jobs.doorbell import Doorbell, make_celery
from jobs.files.storage import open_storage
from jobs.queue.board import BoardKeeper
from jobs.queue.rules import QueueRules
from jobs.release import get_release
from jobs.runs.metrics import MetricStream, make_redis
from jobs.settings import Settings, load_settings
from jobs.telemetry.tracing import open_tracing

DESCRIPTION = """
Fine-tunes *emotional Gemma*: upload chats whose replies carry emotions, post a job, watch the loss live, download the
bundle. Every call but `POST /session` and those under `/health` needs `Authorization: Bearer <API key>`, or the cookie
of a session, and sees what the key's team owns.

Errors have one shape: `{"error": {"code", "message", "field"}}`. Answers carry an
`X-Request-ID`, which is in the log too.
"""

TAGS = [
    {"name": "datasets", "description": "Upload, look up and delete datasets."},
    {"name": "jobs", "description": "Post, look up and cancel fine-tunes."},
    {"name": "progress", "description": "Follow a job: metrics, events and log."},
    {"name": "artifacts", "description": "Download the results of a job."},
    {"name": "queue", "description": "Which jobs wait, at which place and why. Operators hold, release and move jobs."},
    {"name": "teams", "description": "Shares and quotas."},
    {"name": "keys", "description": "API keys, each of one team."},
    {"name": "sessions", "description": "For browsers: a cookie in place of the key."},
    {"name": "models", "description": "The base models and presets that jobs may name."},
    {"name": "slots", "description": "The GPUs and CPUs that run jobs, and what they are doing."},
    {"name": "monitoring", "description": "Metrics for Prometheus."},
    {"name": "health", "description": "For probes; no key needed."},
]

ROUTES = (
    datasets,
    dataset_checks,
    dataset_insights,
    uploads,
    overview,
    jobs,
    job_stops,
    metrics,
    events,
    logs,
    artifacts,
    rows,
    queue,
    teams,
    keys,
    sessions,
    models,
    presets,
    slots,
    monitoring,
    health,
)

# Maximum number of concurrent reads for live feeds; each takes a few milliseconds.
FOLLOWER_THREADS = 4
# Maximum number of requests that are worked on at the same time; the others wait in line. Python runs one thread at a
# time: with AnyIO's default of 40, a busy process spends its time switching between them. Some wait for the database.
REQUEST_THREADS = 12


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the web process as an ASGI app. Without `settings`, they are read from the environment."""
    settings = settings or load_settings()
    meter = RequestMeter()
    tracing = open_tracing("emotune-api", host=settings.host_name)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = REQUEST_THREADS
        services = _open_services(settings, meter)
        app.state.services = services
        try:
            check_schema(services.database)
            yield
        finally:
            services.redis.close()
            services.database.close()
            # In a thread: sending the spans of the last requests would otherwise keep the server from ending.
            await to_thread.run_sync(tracing.close)

    app = FastAPI(
        title="emotune",
        version=get_release(),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        redirect_slashes=False,
        # FastAPI's pages for browsing the schema load scripts from other sites: unsafe beside API keys, broken offline.
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_get_operation_id,
        responses=error_responses(422, 500, 503),
        dependencies=[Depends(refuse_unknown_parameters)],
        telemetry=make_telemetry(tracing),
    )
    app.add_middleware(CompressionMiddleware)
    app.add_middleware(RequestMiddleware, max_body_bytes=settings.max_body_bytes, meter=meter)
    add_error_handlers(app)
    for module in ROUTES:
        app.include_router(module.router)
    add_dashboard(app)
    return app


def _open_services(settings: Settings, meter: RequestMeter) -> Services:
    redis = make_redis(settings)
    database, storage = Database(settings.sqlalchemy_url), open_storage(settings)
    return Services(
        settings=settings,
        database=database,
        storage=storage,
        redis=redis,
        doorbell=Doorbell(make_celery(settings)),
        metric_stream=MetricStream(
            redis, length=settings.metric_stream_length, expire_seconds=settings.metric_stream_seconds
        ),
        board_keeper=BoardKeeper(QueueRules.of(settings)),
        shared_answers=SharedAnswers(),
        registry=make_registry(settings, database, storage, meter),
        follower_limiter=anyio.CapacityLimiter(FOLLOWER_THREADS),
    )


def _get_operation_id(route: APIRoute) -> str:
    """The function's name: `create_job`, not `create_job_jobs_post`."""
    return route.name
