"""The verbs on jobs that a team uses: create, get, list, and what follows a job."""

import hashlib
import json
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from emomodel.config import TrainConfig
from emomodel.sizing.model_shape import ModelShape
from jobs.clock import utc_now
from jobs.errors import (
    IdempotencyKeyReused,
    NoSlotForConfig,
    ValidationDatasetUnfit,
)
from jobs.models import Dataset, Job, Slot
from jobs.posting.estimates import estimate_work
from jobs.posting.memory import check_memory, measure_needs
from jobs.priorities import PriorityClass
from jobs.queue import quotas, usage
from jobs.queue.rules import QueueRules
from jobs.records import add_event


def create_job(
    session: Session,
    *,
    team_id: str,
    name: str | None,
    priority: int,
    base_model: str,
    dataset: Dataset,
    config: TrainConfig,
    validation: Dataset | None = None,
    shape: ModelShape | None = None,
    idempotency_key: str | None = None,
    priority_class: PriorityClass = PriorityClass.NORMAL,
    timeout_seconds: float | None = None,
    posted_by: str | None = None,
    traceparent: str | None = None,
    rules: QueueRules | None = None,
    now: datetime | None = None,
) -> tuple[Job, bool]:
    """The new job, and True; or the one that the same request with the same key made before, and False.

    Without a name it is called like the dataset. `posted_by` is a name for people, `traceparent` that of the request.
    `shape` is the base model's: where it isn't known, nobody asks whether the training fits a slot's memory. Raises
    ValidationDatasetUnfit, NoSlotForConfig, WouldNotFit, QuotaExceeded, PriorityClassTooHigh and IdempotencyKeyReused.
    """
    rules, now = rules or QueueRules(), now or utc_now()
    request_sha256 = digest_request(
        name=name,
        priority=priority,
        base_model=base_model,
        dataset_id=dataset.id,
        validation_dataset_id=validation.id if validation else None,
        config=config,
        priority_class=priority_class,
        timeout_seconds=timeout_seconds,
    )
    # From here on no other request of the team counts its jobs.
    team = usage.lock_team(session, team_id=team_id)
    earlier = find_repeat(session, team_id=team_id, idempotency_key=idempotency_key, request_sha256=request_sha256)
    if earlier is not None:
        return earlier, False
    check_request(session, dataset=dataset, validation=validation, config=config)
    quotas.check_class(team, priority_class)
    if shape is not None:
        check_memory(session, config=config, shape=shape, report=dataset.report)
    work = estimate_work(session, base_model=base_model, dataset=dataset, config=config, shape=shape)
    quotas.check_quotas(session, team, expected_seconds=work.total_seconds)
    needs = measure_needs(config=config, shape=shape, report=dataset.report)
    job = Job(
        team_id=team_id,
        name=name or dataset.name,
        estimate=work.to_record(),
        priority_class=priority_class,
        priority=priority,
        base_model=base_model,
        config=config.model_dump(mode="json"),
        needs_cuda=config.needs_cuda,
        cpu_memory_bytes=needs.get("cpu"),
        cuda_memory_bytes=needs.get("cuda"),
        expected_seconds=work.total_seconds,
        timeout_seconds=timeout_seconds,
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        dataset_sha256=dataset.sha256,
        dataset_report=dataset.report,
        validation_dataset_id=validation.id if validation else None,
        validation_dataset_name=validation.name if validation else None,
        validation_dataset_sha256=validation.sha256 if validation else None,
        axes=dataset.axes,
        posted_by=posted_by,
        traceparent=traceparent,
        idempotency_key=idempotency_key,
        request_sha256=request_sha256,
        created_at=now,
    )
    try:
        with session.begin_nested():
            session.add(job)
    except IntegrityError:
        # A twin of this request was faster by less than the look above could see.
        earlier = find_repeat(session, team_id=team_id, idempotency_key=idempotency_key, request_sha256=request_sha256)
        if earlier is None:
            raise
        return earlier, False
    usage.pay_advance(session, team, job, rules=rules, now=now)
    add_event(session, job_id=job.id, attempt=0, kind="queued", message="The job waits for a slot.")
    return job, True


def check_request(session: Session, *, dataset: Dataset, validation: Dataset | None, config: TrainConfig) -> None:
    """What is refused, whatever a slot's memory. Raises ValidationDatasetUnfit and NoSlotForConfig."""
    if validation is not None:
        _check_validation(dataset, validation, config)
    _check_slots(session, config)


def digest_request(
    *,
    name: str | None,
    priority: int,
    base_model: str,
    dataset_id: str,
    validation_dataset_id: str | None,
    config: TrainConfig,
    priority_class: PriorityClass = PriorityClass.NORMAL,
    timeout_seconds: float | None = None,
) -> str:
    """The sha256 by which a request is known again: of what the caller sent, not of what lies behind the names."""
    request: list[object] = [
        name,
        priority,
        base_model,
        dataset_id,
        validation_dataset_id,
        config.model_dump(mode="json"),
    ]
    # Requests of an earlier release had no such fields, and are still known again.
    if priority_class is not PriorityClass.NORMAL:
        request.append({"priority_class": priority_class.value})
    if timeout_seconds is not None:
        request.append({"timeout_seconds": timeout_seconds})
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def _check_validation(dataset: Dataset, validation: Dataset, config: TrainConfig) -> None:
    field = "validation_dataset_id"
    if validation.axes != dataset.axes:
        raise ValidationDatasetUnfit(
            f"The validation dataset has the axes {', '.join(validation.axes)}, and the dataset "
            f"{', '.join(dataset.axes)}: they have to be the same.",
            field=field,
        )
    if config.eval_fraction:
        raise ValidationDatasetUnfit("Name a validation dataset or set eval_fraction, not both.", field=field)


def find_repeat(session: Session, *, team_id: str, idempotency_key: str | None, request_sha256: str) -> Job | None:
    """The job that this request made before. Raises IdempotencyKeyReused when another request came with the key."""
    if idempotency_key is None:
        return None
    earlier = session.scalar(select(Job).where(Job.team_id == team_id, Job.idempotency_key == idempotency_key))
    if earlier is not None and earlier.request_sha256 != request_sha256:
        raise IdempotencyKeyReused(field="Idempotency-Key")
    return earlier


def _check_slots(session: Session, config: TrainConfig) -> None:
    """Refuse what no slot could ever run. Slots that are only away for now count; before there is any, a job waits."""
    devices = set(session.scalars(select(Slot.device).distinct()))
    if config.needs_cuda and devices and "cuda" not in devices:
        reason = "backend 'unsloth'" if config.backend == "unsloth" else "load_in_4bit"
        raise NoSlotForConfig(
            f"{reason} needs a slot with CUDA, and this installation has only {', '.join(sorted(devices))}. "
            "Leave `backend` and `load_in_4bit` out to run on what there is.",
            field="config.backend" if config.backend == "unsloth" else "config.load_in_4bit",
        )
