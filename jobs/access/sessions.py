"""Browser sessions: a browser logs in with an API key or a login link, and then sends a cookie in place of the key.

A session has the permissions of its key, and ends when the key is revoked.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from jobs.access.teams import CALLER_COLUMNS, Caller, digest_secret
from jobs.clock import utc_now
from jobs.errors import CsrfTokenInvalid, LoginCodeInvalid, SessionInvalid
from jobs.models import ApiKey, LoginCode, WebSession

SECRET_BYTES = 32

# Separates the CSRF token from anything else that may be derived from the same secret.
_CSRF_LABEL = b"emotune csrf token"


def create_session(session: Session, *, key_id: str, expire_seconds: float) -> tuple[WebSession, str]:
    """Start a session for a key; returns it and the secret for the cookie, which is not stored."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    now = utc_now()
    web_session = WebSession(
        sha256=digest_secret(secret),
        api_key_id=key_id,
        created_at=now,
        expires_at=now + timedelta(seconds=expire_seconds),
    )
    session.add(web_session)
    session.flush()
    return web_session, secret


# A single SELECT, as for an API key, because it runs at every request of a browser.
_FIND_CALLER = (
    select(*CALLER_COLUMNS)
    .join(WebSession, WebSession.api_key_id == ApiKey.id)
    .where(
        WebSession.sha256 == bindparam("sha256"),
        WebSession.expires_at > bindparam("now", type_=WebSession.expires_at.type),
        ApiKey.revoked_at.is_(None),
    )
)


def authenticate(session: Session, *, secret: str) -> Caller:
    """The caller whose session cookie holds this secret. Raises SessionInvalid."""
    row = session.execute(_FIND_CALLER, {"sha256": digest_secret(secret), "now": utc_now()}).one_or_none()
    if row is None:
        raise SessionInvalid
    return Caller(*row)


def get_expiry(session: Session, *, secret: str) -> datetime:
    """When an authenticated session expires."""
    return session.get_one(WebSession, digest_secret(secret)).expires_at


def end_session(session: Session, *, secret: str) -> None:
    """End a session: its cookie is refused from now on. Ending it again does nothing."""
    session.execute(delete(WebSession).where(WebSession.sha256 == digest_secret(secret)))


def get_csrf_token(secret: str) -> str:
    """The CSRF token of a session, derived from its secret: the dashboard can read it, another site can't."""
    return hmac.new(secret.encode(), _CSRF_LABEL, hashlib.sha256).hexdigest()


def check_csrf_token(secret: str, token: str) -> None:
    """Compare a token with the session's, in constant time. Raises CsrfTokenInvalid."""
    if not hmac.compare_digest(get_csrf_token(secret).encode(), token.encode()):
        raise CsrfTokenInvalid


def create_login_code(session: Session, *, key_id: str, expire_seconds: float) -> tuple[LoginCode, str]:
    """Create a code that can start one session of the key; returns the row and the code, which is not stored."""
    code = secrets.token_urlsafe(SECRET_BYTES)
    login_code = LoginCode(
        sha256=digest_secret(code), api_key_id=key_id, expires_at=utc_now() + timedelta(seconds=expire_seconds)
    )
    session.add(login_code)
    session.flush()
    return login_code, code


def use_login_code(session: Session, *, code: str) -> str:
    """Use a login code up and return the id of its key; only one of two simultaneous uses succeeds.

    Raises LoginCodeInvalid.
    """
    now = utc_now()
    valid_keys = select(ApiKey.id).where(ApiKey.revoked_at.is_(None))
    key_id = session.scalar(
        update(LoginCode)
        .where(
            LoginCode.sha256 == digest_secret(code),
            LoginCode.used_at.is_(None),
            LoginCode.expires_at > now,
            LoginCode.api_key_id.in_(valid_keys),
        )
        .values(used_at=now)
        .returning(LoginCode.api_key_id)
        .execution_options(synchronize_session=False)
    )
    if key_id is None:
        raise LoginCodeInvalid
    return key_id


def count_expired(session: Session) -> int:
    """How many sessions and login codes delete_expired would delete."""
    now = utc_now()
    counts = [
        session.scalar(select(func.count()).select_from(table).where(table.expires_at <= now)) or 0
        for table in (WebSession, LoginCode)
    ]
    return sum(counts)


def delete_expired(session: Session) -> None:
    """Delete the sessions and login codes that have expired."""
    now = utc_now()
    session.execute(delete(WebSession).where(WebSession.expires_at <= now))
    session.execute(delete(LoginCode).where(LoginCode.expires_at <= now))
