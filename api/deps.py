"""What routes need, as Annotated aliases: services of the process and the caller's team.

A session is no dependency: a route opens it in a `with` block and turns rows into schemas inside. FastAPI runs each
dependency, the route and the check of its answer in turns of one pool of threads. A lock or connection held from one
turn to the next hangs the process as soon as all threads wait for what the holder, who needs a thread, has.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import anyio
from fastapi import Depends, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CollectorRegistry
from redis import Redis
from sqlalchemy.orm import Session

from api.answers.shared import SharedAnswers
from api.errors import suggest
from jobs.access import sessions
from jobs.access.teams import Caller, authenticate, note_use
from jobs.base_models.library import ModelLibrary
from jobs.database.engine import Database
from jobs.doorbell import Doorbell
from jobs.errors import ApiKeyInvalid, CsrfTokenInvalid, OperatorNeeded
from jobs.files.storage import Storage
from jobs.queue.board import BoardKeeper
from jobs.runs.metrics import MetricStream
from jobs.settings import SLOT_NAME_FORM, Settings

DEFAULT_PAGE_LENGTH = 50
MAX_PAGE_LENGTH = 200


@dataclass(frozen=True)
class Services:
    """Made once per process by the lifespan of api/main.py."""

    settings: Settings
    database: Database
    storage: Storage
    redis: Redis
    doorbell: Doorbell
    metric_stream: MetricStream
    board_keeper: BoardKeeper
    shared_answers: SharedAnswers
    # What Prometheus is told.
    registry: CollectorRegistry
    # Followers of live feeds read in threads of their own, so that many of them can't keep requests waiting.
    follower_limiter: anyio.CapacityLimiter


# These are coroutines although they await nothing: FastAPI runs a plain function in a thread, which costs more than it.
async def _get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_get_services)]


async def _get_settings(services: ServicesDep) -> Settings:
    return services.settings


async def _get_database(services: ServicesDep) -> Database:
    return services.database


async def _get_storage(services: ServicesDep) -> Storage:
    return services.storage


async def _get_model_library(services: ServicesDep) -> ModelLibrary:
    return ModelLibrary(services.settings.base_models, services.storage)


async def _get_doorbell(services: ServicesDep) -> Doorbell:
    return services.doorbell


async def _get_metric_stream(services: ServicesDep) -> MetricStream:
    return services.metric_stream


async def _get_board_keeper(services: ServicesDep) -> BoardKeeper:
    return services.board_keeper


async def _get_shared_answers(services: ServicesDep) -> SharedAnswers:
    return services.shared_answers


async def refuse_unknown_parameters(request: Request) -> None:
    """A misspelt parameter would else be passed over in silence, and the answer be another than the one asked for."""
    route = request.scope.get("route")
    # A page has no route of its own, and doesn't mind.
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


SettingsDep = Annotated[Settings, Depends(_get_settings)]
DatabaseDep = Annotated[Database, Depends(_get_database)]
StorageDep = Annotated[Storage, Depends(_get_storage)]
ModelLibraryDep = Annotated[ModelLibrary, Depends(_get_model_library)]
DoorbellDep = Annotated[Doorbell, Depends(_get_doorbell)]
MetricStreamDep = Annotated[MetricStream, Depends(_get_metric_stream)]
BoardKeeperDep = Annotated[BoardKeeper, Depends(_get_board_keeper)]
SharedAnswersDep = Annotated[SharedAnswers, Depends(_get_shared_answers)]


SESSION_COOKIE = "emotune_session"
CSRF_HEADER = "X-CSRF-Token"
# They change nothing, so a foreign site gains nothing by having a browser send them.
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# `none` is a person who typed the address, or followed a bookmark.
_OWN_SITES = frozenset({"same-origin", "none"})

_bearer = HTTPBearer(auto_error=False, description="An API key of your team; `emotune keys create` makes one.")
_cookie = APIKeyCookie(
    name=SESSION_COOKIE,
    scheme_name="SessionCookie",
    auto_error=False,
    description=f"A session, as `POST /session` opens it. All methods but {', '.join(sorted(_SAFE_METHODS))} also need "
    f"the header `{CSRF_HEADER}`, with the `csrf_token` of `GET /session`. A Bearer key goes first.",
)


@dataclass(frozen=True)
class Access:
    """A key, or a session's cookie, that was sent and not looked up yet."""

    database: Database
    secret: str
    is_by_cookie: bool = False

    @contextmanager
    def read(self) -> Iterator[tuple[Session, Caller]]:
        """One session for looking up the caller and for what follows. Raises ApiKeyInvalid and SessionInvalid."""
        find_caller = sessions.authenticate if self.is_by_cookie else authenticate
        with self.database.read() as session:
            caller = find_caller(session, secret=self.secret)
            yield session, caller
        if caller.is_use_worth_noting:
            with self.database.write() as session:
                note_use(session, key_id=caller.key_id)


async def refuse_cross_site(request: Request) -> None:
    """What a browser says that another site made it send. Raises CsrfTokenInvalid."""
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES:
        raise CsrfTokenInvalid("This request comes from another site, and is refused with a cookie.")


async def _get_access(
    request: Request,
    database: DatabaseDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> Access:
    """Raises ApiKeyInvalid where there is neither, CsrfTokenInvalid for a change by cookie that isn't the page's."""
    if credentials is not None:
        return Access(database, credentials.credentials)
    if cookie is None:
        raise ApiKeyInvalid
    if request.method not in _SAFE_METHODS:
        await refuse_cross_site(request)
        sessions.check_csrf_token(cookie, request.headers.get(CSRF_HEADER, ""))
    return Access(database, cookie, is_by_cookie=True)


AccessDep = Annotated[Access, Depends(_get_access)]


def _get_caller(access: AccessDep) -> Caller:
    """The team that the key speaks for. The session ends here: an upload must not hold a connection while it lasts."""
    with access.read() as (_, caller):
        return caller


CallerDep = Annotated[Caller, Depends(_get_caller)]


async def _get_operator(caller: CallerDep) -> Caller:
    """Raises OperatorNeeded."""
    if not caller.is_operator:
        raise OperatorNeeded
    return caller


OperatorDep = Annotated[Caller, Depends(_get_operator)]


async def _find_access(
    request: Request,
    settings: SettingsDep,
    database: DatabaseDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> Access | None:
    """None where the setting says that nobody is asked."""
    return None if settings.metrics_public else await _get_access(request, database, credentials, cookie)


def _allow_scrape(access: Annotated[Access | None, Depends(_find_access)]) -> None:
    """Raises OperatorNeeded: the numbers name all teams."""
    if access is None:
        return
    with access.read() as (_, caller):
        if not caller.is_operator:
            raise OperatorNeeded


ScrapeDep = Annotated[None, Depends(_allow_scrape)]

# What doesn't have the form of an id names nothing: api/errors.py turns a path that doesn't fit into a 404.
JobIdPath = Annotated[str, Path(pattern=r"^job_[0-9a-z]{26}$", description="Id of a job of your team.")]
DatasetIdPath = Annotated[str, Path(pattern=r"^ds_[0-9a-z]{26}$", description="Id of a dataset of your team.")]
SlotNamePath = Annotated[str, Path(pattern=SLOT_NAME_FORM, description="Name of a slot, as `GET /slots` lists it.")]

PageLength = Annotated[int, Query(ge=1, le=MAX_PAGE_LENGTH, description="Most items of the page.")]
PageCursor = Annotated[
    str | None, Query(pattern=r"^[a-z]+_[0-9a-z]{26}$", description="`next_cursor` of the page before.")
]
