"""What routes need of the process, and the parameters that many share, as Annotated aliases.

A database session is not a dependency: a route opens one in a `with` block and turns rows into schemas inside it.
FastAPI runs each dependency, the route and the validation of its answer as separate calls in one pool of threads. With
a lock or connection that is held from one call to the next, the process would hang as soon as all threads wait for it,
since its holder needs a thread too.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import anyio
from fastapi import Depends, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from redis import Redis

from api.answers.shared import SharedAnswers
from api.spelling import suggest
from jobs.base_models.library import ModelLibrary
from jobs.database.engine import Database
from jobs.doorbell import Doorbell
from jobs.files.storage import Storage
from jobs.queue.board import BoardKeeper
from jobs.runs.metrics import MetricStream
from jobs.settings import SLOT_NAME_FORM, Settings

DEFAULT_PAGE_LENGTH = 50
MAX_PAGE_LENGTH = 200

T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """The services of one web process, made once by the lifespan of api/main.py."""

    settings: Settings
    database: Database
    storage: Storage
    redis: Redis
    doorbell: Doorbell
    metric_stream: MetricStream
    board_keeper: BoardKeeper
    shared_answers: SharedAnswers
    # The metrics that Prometheus scrapes.
    registry: CollectorRegistry
    # Followers of live feeds read in threads of their own, so that many of them can't keep requests waiting.
    follower_limiter: anyio.CapacityLimiter


# These are coroutines although they await nothing: FastAPI runs a plain function in a thread, which costs more than it.
async def _get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_get_services)]


def _pick(get: Callable[[Services], T]) -> Callable[[Services], Coroutine[Any, Any, T]]:
    async def pick(services: ServicesDep) -> T:
        return get(services)

    return pick


async def refuse_unknown_parameters(request: Request) -> None:
    """Refuse unknown query parameters: with a misspelt one ignored, the answer would not be the one asked for.

    Raises RequestValidationError.
    """
    route = request.scope.get("route")
    # A page of the dashboard has no route of its own, and ignores its parameters.
    if route is None or not request.scope["query_string"]:
        return
    known = [parameter.alias for parameter in route.dependant.query_params]
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise RequestValidationError(
            [
                {
                    "type": "unknown_parameter",
                    "loc": ("query", name),
                    "msg": f"`{name}` is not a known parameter; {suggest(name, known)}",
                }
                for name in unknown
            ]
        )


SettingsDep = Annotated[Settings, Depends(_pick(lambda services: services.settings))]
DatabaseDep = Annotated[Database, Depends(_pick(lambda services: services.database))]
StorageDep = Annotated[Storage, Depends(_pick(lambda services: services.storage))]
ModelLibraryDep = Annotated[
    ModelLibrary, Depends(_pick(lambda services: ModelLibrary(services.settings.base_models, services.storage)))
]
DoorbellDep = Annotated[Doorbell, Depends(_pick(lambda services: services.doorbell))]
BoardKeeperDep = Annotated[BoardKeeper, Depends(_pick(lambda services: services.board_keeper))]
SharedAnswersDep = Annotated[SharedAnswers, Depends(_pick(lambda services: services.shared_answers))]

# A text that doesn't have the form of an id can't name anything: api/errors.py answers it with 404.
JobIdPath = Annotated[str, Path(pattern=r"^job_[0-9a-z]{26}$", description="Id of a job of your team.")]
DatasetIdPath = Annotated[str, Path(pattern=r"^ds_[0-9a-z]{26}$", description="Id of a dataset of your team.")]
SlotNamePath = Annotated[str, Path(pattern=SLOT_NAME_FORM, description="Name of a slot, as `GET /slots` lists it.")]

PageLength = Annotated[int, Query(ge=1, le=MAX_PAGE_LENGTH, description="Maximum number of items on the page.")]
PageCursor = Annotated[
    str | None, Query(pattern=r"^[a-z]+_[0-9a-z]{26}$", description="`next_cursor` of the previous page.")
]
