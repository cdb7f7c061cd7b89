"""Checks of Redis, and of the workers that get its messages."""

from collections.abc import Collection, Mapping
from typing import Any

from celery import Celery
from redis import Redis
from redis.exceptions import RedisError

from cli.doctor.findings import Finding, fail, ok, warn
from jobs.doorbell import HOUSEKEEPING_QUEUE, get_slot_queue
from jobs.settings import Device

# Workers answer from their main process, which does nothing else: at once, unless the machine is overloaded.
ANSWER_SECONDS = 2.0


def check_redis(redis: Redis) -> Finding:
    """Check that Redis answers."""
    try:
        redis.ping()
    except RedisError as error:
        advice = "Start it, or check EMOTUNE_REDIS_URL. Until then jobs start later, and metrics come in batches."
        return fail("redis", f"It doesn't answer: {error}.", advice)
    return ok("redis", "It answers.")


def check_eviction(redis: Redis) -> Finding:
    """Check that Redis discards nothing when it is full."""
    memory: dict[str, Any] = redis.info("memory")
    policy = memory.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return ok("redis memory", "It discards nothing when it is full (noeviction).")
    advice = "CONFIG SET maxmemory-policy noeviction, and in its configuration."
    return warn(
        "redis memory", f"Its maxmemory-policy is {policy}: live metrics and messages may be discarded.", advice
    )


def check_persistence(redis: Redis) -> Finding:
    """Check whether live metrics survive a restart of Redis. No job needs that."""
    check = "redis persistence"
    found: dict[str, Any] = redis.info("persistence")
    for name in ("aof_last_write_status", "rdb_last_bgsave_status"):
        if found.get(name, "ok") != "ok":
            return warn(check, f"It can't write to its disk ({name} is {found[name]}).", "Check its log and its disk.")
    if found.get("aof_enabled"):
        return ok(check, "It keeps an append-only file.")
    if _makes_snapshots(redis):
        return ok(check, "It keeps snapshots.")
    advice = "CONFIG SET appendonly yes, and in its configuration."
    return warn(check, "It keeps nothing: after its restart live feeds start from the database's copy.", advice)


def _makes_snapshots(redis: Redis) -> bool:
    try:
        return bool(redis.config_get("save").get("save"))
    except RedisError:
        # A hosted Redis may not allow the question.
        return False


def find_consumers(celery: Celery) -> dict[str, set[str]]:
    """Return by queue the names of the workers that take messages from it and answered. Raises RedisError, OSError."""
    answers: dict[str, list[dict[str, Any]]] = celery.control.inspect(timeout=ANSWER_SECONDS).active_queues() or {}
    consumers: dict[str, set[str]] = {}
    for worker, queues in answers.items():
        for queue in queues:
            consumers.setdefault(queue["name"], set()).add(worker)
    return consumers


def check_housekeeping(consumers: Mapping[str, Collection[str]]) -> Finding:
    """Check that the housekeeping's worker answers over Redis; no row shows it."""
    found = consumers.get(HOUSEKEEPING_QUEUE)
    if found:
        return ok("housekeeping", f"It runs: {', '.join(sorted(found))}.")
    advice = "emotune worker --housekeeping; without it nothing ends dead runs, and unneeded files stay."
    return fail("housekeeping", f"No worker answered for it within {ANSWER_SECONDS:g} s.", advice)


def check_listeners(consumers: Mapping[str, Collection[str]], devices: Collection[Device]) -> list[Finding]:
    """Check for each device that workers get its messages. `devices` are those of the slots that were seen."""
    return [_check_listener(device, consumers.get(get_slot_queue(device), ())) for device in sorted(devices)]


def _check_listener(device: Device, workers: Collection[str]) -> Finding:
    if workers:
        return ok(f"{device} workers", f"They get messages: {', '.join(sorted(workers))}.")
    advice = "Give API and workers the same EMOTUNE_REDIS_URL, and restart the workers."
    return fail(f"{device} workers", "They write to the database, and none answered over this Redis.", advice)
