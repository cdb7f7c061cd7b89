"""`emotune doctor`: all checks of an installation, in the order of what they depend on."""

import json
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import httpx2
from pydantic import ValidationError
from redis.exceptions import RedisError
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from cli.credentials import CredentialsMissing, get_credentials
from cli.demo import with_sample_model
from cli.doctor import broker, machine, rows, service
from cli.doctor.findings import Finding, Health, fail, get_worst, ok, warn
from cli.errors import explain_validation
from jobs.base_models.library import ModelLibrary
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.doorbell import make_celery
from jobs.errors import EmotuneError
from jobs.files.storage import Storage, open_storage
from jobs.release import get_release
from jobs.runs.metrics import make_redis
from jobs.runs.slots import SlotStatus, list_slots
from jobs.settings import DEVICES, Device, Settings, load_settings
from jobs.telemetry.census import SLOT_KEPT_SECONDS
from worker.slot.gpu import Cpu, Gpu

API_SECONDS = 10.0
CONNECT_SECONDS = 10


def run_doctor(*, as_json: bool) -> int:
    """Print the findings; returns the exit code."""
    # For PostgreSQL's library, which would wait for minutes if a firewall drops its packets.
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(CONNECT_SECONDS))
    findings = list(examine_all())
    print(render_json(findings) if as_json else render_lines(findings))
    return 1 if get_worst(findings) is Health.FAILED else 0


def examine_all() -> Iterator[Finding]:
    """Yield the findings. Without readable settings nothing else is checked."""
    try:
        settings = load_settings()
    except ValidationError as error:
        yield fail("settings", explain_validation(error), "docs/configuration.md lists all settings.")
    except EmotuneError as error:
        yield fail("settings", error.message, "docs/configuration.md lists all settings.")
    else:
        yield ok("settings", "The EMOTUNE_* variables are all known and valid.")
        yield from examine(settings)


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield the findings about an installation, as this machine sees it."""
    yield from examine_machine(settings)
    devices = yield from examine_database(settings)
    yield from examine_broker(settings, devices)
    yield from examine_api(settings.data_dir)


def examine_machine(settings: Settings) -> Iterator[Finding]:
    yield machine.check_data_folder(settings.data_dir)
    if settings.data_dir.is_dir():
        yield machine.check_disk(Storage(settings.data_dir), needed_bytes=settings.min_free_disk_bytes)
    # The sample model counts as in `emotune up`.
    with_sample, sample_folder = with_sample_model(settings)
    base_models = (with_sample if sample_folder.is_dir() else settings).base_models
    storage = open_storage(settings)
    if storage.is_shared:
        yield machine.check_store(storage)
    yield from machine.check_base_models(ModelLibrary(base_models, storage))
    yield machine.check_gpu(Cpu() if settings.slot_device == "cpu" else Gpu(settings.slot_gpu))


def examine_database(settings: Settings) -> Generator[Finding, None, set[Device]]:
    """Yield the findings about the database; returns the devices of the slots whose workers were seen recently."""
    url = make_url(settings.sqlalchemy_url)
    if url.get_backend_name() == "sqlite":
        file = machine.check_sqlite(Path(url.database or ""))
        yield file
        if file.health is Health.FAILED:
            # Connecting would make an empty file.
            return set()
    database = Database(settings.sqlalchemy_url)
    try:
        answers = rows.check_database(database)
        yield answers
        if answers.health is Health.FAILED:
            return set()
        schema = rows.check_schema(database)
        yield schema
        if schema.health is Health.FAILED:
            return set()
        yield rows.check_clock(database)
        return (yield from _examine_rows(settings, database))
    except SQLAlchemyError as error:
        yield fail("database", f"It broke off: {error}", "Run this again, and check the database's log.")
        return set()
    finally:
        database.close()


def _examine_rows(settings: Settings, database: Database) -> Generator[Finding, None, set[Device]]:
    with database.read_moment() as session:
        now = utc_now()
        since = now - timedelta(seconds=SLOT_KEPT_SECONDS)
        views = [
            view
            for view in list_slots(session, seen_within_seconds=settings.worker_seen_seconds)
            if view.slot.seen_at >= since
        ]
        yield from rows.check_slots(views, now=now)
        yield rows.check_leases(session, sweep_seconds=settings.sweep_seconds, now=now)
        yield rows.check_failures(session, now=now)
    seen = {view.slot.device for view in views if view.status is not SlotStatus.AWAY}
    return {device for device in DEVICES if device in seen}


def examine_broker(settings: Settings, devices: set[Device]) -> Iterator[Finding]:
    redis = make_redis(settings)
    try:
        answers = broker.check_redis(redis)
        yield answers
        if answers.health is Health.FAILED:
            return
        yield broker.check_eviction(redis)
        yield broker.check_persistence(redis)
        consumers = broker.find_consumers(make_celery(settings))
        yield broker.check_housekeeping(consumers)
        yield from broker.check_listeners(consumers, devices)
    except (RedisError, OSError) as error:
        yield fail("redis", f"It broke off: {error}.", "Run this again, and check its log.")
    finally:
        redis.close()


def examine_api(data_dir: Path) -> Iterator[Finding]:
    try:
        credentials = get_credentials(data_dir)
    except CredentialsMissing:
        yield warn("api", "It was not checked: no address and key are known.", "Set EMOTUNE_URL and EMOTUNE_API_KEY.")
        return
    headers = {"Authorization": f"Bearer {credentials.api_key}"}
    with httpx2.Client(base_url=credentials.url, headers=headers, timeout=API_SECONDS) as client:
        yield from service.check_api(client, own_version=get_release())


def render_lines(findings: Sequence[Finding]) -> str:
    """Return a line for each finding, with what to do about it."""
    width = max(len(finding.check) for finding in findings)
    lines = []
    for finding in findings:
        advice = f" -> {finding.advice}" if finding.advice else ""
        text = " ".join(f"{finding.message}{advice}".split())
        lines.append(f"{finding.health:<8} {finding.check:<{width}}  {text}")
    return "\n".join(lines)


def render_json(findings: Sequence[Finding]) -> str:
    content = {"health": get_worst(findings), "findings": [asdict(finding) for finding in findings]}
    return json.dumps(content, indent=2, ensure_ascii=False)
