"""Wire models of the health checks."""

from api.schemas.base import Read
from api.schemas.errors import ErrorInfo


class CheckRead(Read):
    """The check of one thing that the service needs."""

    ok: bool
    message: str


class Liveness(Read):
    """The process answers."""

    status: str = "alive"


class Readiness(Read):
    """Whether a job that is posted now will be stored and run; `error` names what fails."""

    status: str
    checks: dict[str, CheckRead]
    error: ErrorInfo | None = None
