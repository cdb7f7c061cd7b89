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
