"""The verbs on sessions: a browser logs in with a key, or with a link, and then sends a cookie in place of the key.

A session speaks for its key: it may what the key may, and ends when the key is revoked.
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

# Keeps the token apart from whatever else might once be derived from the secret.
_CSRF_LABEL = b"emotune csrf token"


def create_session(session: Session, *, key_id: str, expire_seconds: float) -> tuple[WebSession, str]:
    """A new session of a key, and its secret, which is for the cookie and not kept."""
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


# One select, as for a key: it runs at every request of a browser.
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
    """The caller whose cookie has this secret. Raises SessionInvalid."""
    row = session.execute(_FIND_CALLER, {"sha256": digest_secret(secret), "now": utc_now()}).one_or_none()
    if row is None:
        raise SessionInvalid
    return Caller(*row)


def get_expiry(session: Session, *, secret: str) -> datetime:
    """When a session that has been authenticated ends."""
    return session.get_one(WebSession, digest_secret(secret)).expires_at


def end_session(session: Session, *, secret: str) -> None:
    """From now on its cookie is refused. Ending it twice does nothing."""
    session.execute(delete(WebSession).where(WebSession.sha256 == digest_secret(secret)))


def get_csrf_token(secret: str) -> str:
    """What a page of ours can read and another site can't: it follows from the session's secret."""
    return hmac.new(secret.encode(), _CSRF_LABEL, hashlib.sha256).hexdigest()


def check_csrf_token(secret: str, token: str) -> None:
    """Raises CsrfTokenInvalid."""
    if not hmac.compare_digest(get_csrf_token(secret).encode(), token.encode()):
        raise CsrfTokenInvalid


def create_login_code(session: Session, *, key_id: str, expire_seconds: float) -> tuple[LoginCode, str]:
    """What opens one session of the key; the second value goes into a link and is not kept."""
    code = secrets.token_urlsafe(SECRET_BYTES)
    login_code = LoginCode(
        sha256=digest_secret(code), api_key_id=key_id, expires_at=utc_now() + timedelta(seconds=expire_seconds)
    )
    session.add(login_code)
    session.flush()
    return login_code, code


def use_login_code(session: Session, *, code: str) -> str:
    """The id of the code's key. Of two who use it at a time one gets it. Raises LoginCodeInvalid."""
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
    """Sessions and codes that delete_expired would delete."""
    now = utc_now()
    counts = [
        session.scalar(select(func.count()).select_from(table).where(table.expires_at <= now)) or 0
        for table in (WebSession, LoginCode)
    ]
    return sum(counts)


def delete_expired(session: Session) -> None:
    """Sessions and codes that nobody can use any more."""
    now = utc_now()
    session.execute(delete(WebSession).where(WebSession.expires_at <= now))
    session.execute(delete(LoginCode).where(LoginCode.expires_at <= now))
