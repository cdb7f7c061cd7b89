"""Probes: whether the process answers, and whether all that it needs is available. They need no key."""

import structlog
from fastapi import APIRouter, Response
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from api.deps import Services, ServicesDep
from api.schemas.errors import ErrorInfo
from api.schemas.health import CheckRead, Liveness, Readiness
from emomodel.train_extra import INSTALL_LINE
from jobs.database.schema import find_mismatch
from jobs.errors import StorageUnreachable
from jobs.models import Slot
from jobs.runs.slots import lacks_packages, list_slots_seen

router = APIRouter(prefix="/health", tags=["health"])

log = structlog.get_logger()


@router.get("/live")
async def get_liveness() -> Liveness:
    """The process answers."""
    return Liveness()


@router.get(
    "/ready",
    response_model_exclude_none=True,
    responses={503: {"model": Readiness, "description": "Something is missing; `error` names it"}},
)
def get_readiness(services: ServicesDep, response: Response) -> Readiness:
    """Report whether the database, Redis, a worker, disk space and the object store are available."""
    checks = {
        "database": _check_database(services),
        "redis": _check_redis(services),
        "worker": _check_worker(services),
        "disk": _check_disk(services),
        "storage": _check_storage(services),
    }
    failing = [f"{name}: {check.message}" for name, check in checks.items() if not check.ok]
    if not failing:
        return Readiness(status="ready", checks=checks)
    response.status_code = 503
    return Readiness(status="not_ready", checks=checks, error=ErrorInfo(code="not_ready", message=" ".join(failing)))


def _check_database(services: Services) -> CheckRead:
    try:
        with services.database.read() as session:
            mismatch = find_mismatch(session.connection())
    except SQLAlchemyError as error:
        log.warning("database_not_reached", reason=str(error))
        return CheckRead(ok=False, message="The database can't be reached.")
    if mismatch is not None:
        return CheckRead(ok=False, message=mismatch)
    return CheckRead(ok=True, message="The database answers.")


def _check_redis(services: Services) -> CheckRead:
    try:
        services.redis.ping()
    except RedisError as error:
        log.warning("redis_not_reached", reason=str(error))
        return CheckRead(ok=False, message="Redis can't be reached: jobs start later, and metrics come in batches.")
    return CheckRead(ok=True, message="Redis answers.")


def _check_worker(services: Services) -> CheckRead:
    seconds = services.settings.worker_seen_seconds
    try:
        with services.database.read() as session:
            slots = list_slots_seen(session, within_seconds=seconds)
    except SQLAlchemyError:
        return CheckRead(ok=False, message="Unknown without the database.")
    if not slots:
        return CheckRead(ok=False, message=f"No worker was seen in the last {seconds:g} seconds.")
    described = ", ".join(map(_describe_slot, slots))
    if all(map(lacks_packages, slots)):
        return CheckRead(ok=False, message=f"No worker can train. Slots: {described}.")
    return CheckRead(ok=True, message=f"Slots: {described}.")


def _describe_slot(slot: Slot) -> str:
    """Leave out why a slot is blocked, unless it lacks packages: a reason may name people and processes."""
    if lacks_packages(slot):
        return f"{slot.name} (blocked: {INSTALL_LINE})"
    if slot.drained_at is not None:
        return f"{slot.name} (drained)"
    return f"{slot.name} (blocked)" if slot.blocked_reason is not None else slot.name


def _check_storage(services: Services) -> CheckRead:
    try:
        services.storage.store.check()
    except StorageUnreachable as error:
        log.warning("storage_not_reached", reason=error.message)
        return CheckRead(ok=False, message="The object store can't be reached.")
    return CheckRead(
        ok=True, message="The object store answers." if services.storage.is_shared else "Files are on the disk."
    )


def _check_disk(services: Services) -> CheckRead:
    free_bytes, needed_bytes = services.storage.get_free_bytes(), services.settings.min_free_disk_bytes
    if free_bytes < needed_bytes:
        return CheckRead(ok=False, message=f"Only {free_bytes} bytes are free on the disk; {needed_bytes} are needed.")
    return CheckRead(ok=True, message=f"{free_bytes} bytes are free.")
