"""Sessions: how a browser logs in, who it is, and how it logs out."""

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.orm import Session

from api.access import SESSION_COOKIE, AccessDep, CallerDep, refuse_cross_site
from api.deps import DatabaseDep, SettingsDep
from api.errors import error_responses
from api.schemas.keys import LoginCodeRead, SessionCreate, SessionRead
from jobs.access import keys, sessions
from jobs.access.teams import authenticate, note_use
from jobs.errors import ApiKeyInvalid

router = APIRouter(tags=["sessions"], responses=error_responses(401))

LOGIN_PATH = "/#/login?code="


@router.post(
    "/session", status_code=201, responses=error_responses(400, 413), dependencies=[Depends(refuse_cross_site)]
)
def create_session(
    body: SessionCreate, request: Request, response: Response, database: DatabaseDep, settings: SettingsDep
) -> SessionRead:
    """Log in a browser, with an API key or the code of a login link. The answer sets the session's cookie."""
    with database.write() as session:
        key_id = sessions.use_login_code(session, code=body.code) if body.code else _find_key(session, body.api_key)
        note_use(session, key_id=key_id)
        web_session, secret = sessions.create_session(session, key_id=key_id, expire_seconds=settings.session_seconds)
        answer = SessionRead.of(
            keys.get_own_key(session, key_id=key_id),
            csrf_token=sessions.get_csrf_token(secret),
            expires_at=web_session.expires_at,
        )
    response.set_cookie(
        SESSION_COOKIE,
        secret,
        max_age=int(settings.session_seconds),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


def _find_key(session: Session, secret: str) -> str:
    try:
        return authenticate(session, secret=secret).key_id
    except ApiKeyInvalid:
        raise ApiKeyInvalid("The API key is unknown or revoked.", field="api_key") from None


@router.get("/session")
def get_session(access: AccessDep) -> SessionRead:
    """Return who the caller is, by cookie or Bearer key, and the CSRF token that changes by cookie need."""
    with access.read() as (session, caller):
        key = keys.get_own_key(session, key_id=caller.key_id)
        if not access.is_by_cookie:
            return SessionRead.of(key)
        return SessionRead.of(
            key,
            csrf_token=sessions.get_csrf_token(access.secret),
            expires_at=sessions.get_expiry(session, secret=access.secret),
        )


@router.delete("/session", status_code=204)
def delete_session(access: AccessDep, _caller: CallerDep, response: Response, database: DatabaseDep) -> None:
    """Log out: end the session of the cookie. A Bearer key has no session to end."""
    if access.is_by_cookie:
        with database.write() as session:
            sessions.end_session(session, secret=access.secret)
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")


@router.post("/login-codes", status_code=201)
def create_login_code(caller: CallerDep, database: DatabaseDep, settings: SettingsDep) -> LoginCodeRead:
    """Create a code for a login link. It logs in one browser, once, with your own key's rights."""
    with database.write() as session:
        login_code, code = sessions.create_login_code(
            session, key_id=caller.key_id, expire_seconds=settings.login_code_seconds
        )
        return LoginCodeRead(code=code, expires_at=login_code.expires_at, path=LOGIN_PATH + code)
