"""Who sends a request: the API key or the session's cookie, and what its team may do, as Annotated aliases."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session

from api.deps import DatabaseDep, SettingsDep
from jobs.access import sessions
from jobs.access.teams import Caller, authenticate, note_use
from jobs.database.engine import Database
from jobs.errors import ApiKeyInvalid, CsrfTokenInvalid, OperatorNeeded

SESSION_COOKIE = "emotune_session"
CSRF_HEADER = "X-CSRF-Token"
# These methods change nothing, so another site gains nothing by having a browser send them.
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# A browser sends `none` when a person typed the address or followed a bookmark.
_OWN_SITES = frozenset({"same-origin", "none"})

_bearer = HTTPBearer(auto_error=False, description="An API key of your team; `emotune keys create` makes one.")
_cookie = APIKeyCookie(
    name=SESSION_COOKIE,
    scheme_name="SessionCookie",
    auto_error=False,
    description=f"The cookie of a session, set by `POST /session`. All methods but {', '.join(sorted(_SAFE_METHODS))} "
    f"also need the header `{CSRF_HEADER}` with the `csrf_token` of `GET /session`. A Bearer key takes precedence.",
)


@dataclass(frozen=True)
class Access:
    """The key or the session cookie that a request sent, not looked up in the database yet."""

    database: Database
    secret: str
    is_by_cookie: bool = False

    @contextmanager
    def read(self) -> Iterator[tuple[Session, Caller]]:
        """Look up the caller; yield the database session and the caller. Raises ApiKeyInvalid and SessionInvalid."""
        find_caller = sessions.authenticate if self.is_by_cookie else authenticate
        with self.database.read() as session:
            caller = find_caller(session, secret=self.secret)
            yield session, caller
        if caller.is_use_worth_noting:
            with self.database.write() as session:
                note_use(session, key_id=caller.key_id)


async def refuse_cross_site(request: Request) -> None:
    """Refuse a request that another site caused, as the browser reports. Raises CsrfTokenInvalid."""
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES:
        raise CsrfTokenInvalid("This request comes from another site, which may not use the session cookie.")


async def _get_access(
    request: Request,
    database: DatabaseDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> Access:
    """Raises ApiKeyInvalid without key and cookie, CsrfTokenInvalid for a change by cookie from another site."""
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
    """Return the caller. The database session ends here: an upload must not hold a connection while it lasts."""
    with access.read() as (_, caller):
        return caller


CallerDep = Annotated[Caller, Depends(_get_caller)]


async def _get_operator(caller: CallerDep) -> Caller:
    """Return the caller, who has to be an operator. Raises OperatorNeeded."""
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
    """Return None where `metrics_public` lets anyone scrape."""
    return None if settings.metrics_public else await _get_access(request, database, credentials, cookie)


def _allow_scrape(access: Annotated[Access | None, Depends(_find_access)]) -> None:
    """Let only operators scrape, as the metrics name all teams. Raises OperatorNeeded."""
    if access is None:
        return
    with access.read() as (_, caller):
        if not caller.is_operator:
            raise OperatorNeeded


ScrapeDep = Annotated[None, Depends(_allow_scrape)]
