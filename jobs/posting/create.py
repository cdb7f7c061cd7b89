"""Posting a job: every check that a request has to pass, and the new row."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from emomodel.config import TrainConfig
from jobs.clock import utc_now
from jobs.errors import IdempotencyKeyReused, NoSlotForConfig, ValidationDatasetUnfit
from jobs.models import Dataset, Job, Slot
from jobs.posting.estimates import WorkEstimate, estimate_work
from jobs.posting.job_request import JobInputs, JobRequest
from jobs.posting.memory import check_memory, measure_needs
from jobs.queue import quotas, usage
from jobs.queue.rules import QueueRules
from jobs.records import add_event


def create_job(
    session: Session,
    *,
    request: JobRequest,
    inputs: JobInputs,
    rules: QueueRules | None = None,
    now: datetime | None = None,
) -> tuple[Job, bool]:
    """Queue a job. Returns it and True, or the job that the same request with the same key created before and False.

    Raises ValidationDatasetUnfit, NoSlotForConfig, WouldNotFit, QuotaExceeded, PriorityClassTooHigh and
    IdempotencyKeyReused.
    """
    rules, now = rules or QueueRules(), now or utc_now()
    # Until the transaction ends, no other request of the team counts its jobs.
    team = usage.lock_team(session, team_id=request.team_id)
    earlier = find_repeat(session, request=request)
    if earlier is not None:
        return earlier, False
    check_request(session, request=request, inputs=inputs)
    quotas.check_class(team, request.priority_class)
    check_memory(session, config=request.config, inputs=inputs)
    work = estimate_work(session, request=request, inputs=inputs)
    quotas.check_quotas(session, team, expected_seconds=work.total_seconds)
    job = _make_job(request, inputs, work, now)
    twin = _insert(session, job, request)
    if twin is not None:
        return twin, False
    usage.pay_advance(session, team, job, rules=rules, now=now)
    add_event(session, job_id=job.id, attempt=0, kind="queued", message="The job waits for a slot.")
    return job, True


def check_request(session: Session, *, request: JobRequest, inputs: JobInputs) -> None:
    """Checks that don't depend on quotas or on the memory of slots.

    Raises ValidationDatasetUnfit and NoSlotForConfig.
    """
    if inputs.validation is not None:
        _check_validation(inputs.dataset, inputs.validation, request.config)
    _check_slots(session, request.config)


def find_repeat(session: Session, *, request: JobRequest) -> Job | None:
    """The job that the same request with the same idempotency key created before.

    Raises IdempotencyKeyReused when a different request used the key.
    """
    key = request.idempotency_key
    if key is None:
        return None
    earlier = session.scalar(select(Job).where(Job.team_id == request.team_id, Job.idempotency_key == key))
    if earlier is not None and earlier.request_sha256 != request.sha256:
        raise IdempotencyKeyReused(field="Idempotency-Key")
    return earlier


def _make_job(request: JobRequest, inputs: JobInputs, work: WorkEstimate, now: datetime) -> Job:
    dataset, validation = inputs.dataset, inputs.validation
    needs = measure_needs(config=request.config, inputs=inputs)
    return Job(
        team_id=request.team_id,
        name=request.name or dataset.name,
        estimate=work.to_record(),
        priority_class=request.priority_class,
        priority=request.priority,
        base_model=request.base_model,
        config=request.config.model_dump(mode="json"),
        needs_cuda=request.config.needs_cuda,
        cpu_memory_bytes=needs.get("cpu"),
        cuda_memory_bytes=needs.get("cuda"),
        expected_seconds=work.total_seconds,
        timeout_seconds=request.timeout_seconds,
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        dataset_sha256=dataset.sha256,
        dataset_report=dataset.report,
        validation_dataset_id=validation.id if validation else None,
        validation_dataset_name=validation.name if validation else None,
        validation_dataset_sha256=validation.sha256 if validation else None,
        axes=dataset.axes,
        posted_by=request.posted_by,
        traceparent=request.traceparent,
        idempotency_key=request.idempotency_key,
        request_sha256=request.sha256,
        created_at=now,
    )


def _insert(session: Session, job: Job, request: JobRequest) -> Job | None:
    """Add the row. Returns the job of an identical request that another transaction committed in the meantime."""
    try:
        with session.begin_nested():
            session.add(job)
    except IntegrityError:
        twin = find_repeat(session, request=request)
        if twin is None:
            raise
        return twin
    return None


def _check_validation(dataset: Dataset, validation: Dataset, config: TrainConfig) -> None:
    field = "validation_dataset_id"
    if validation.axes != dataset.axes:
        raise ValidationDatasetUnfit(
            f"The validation dataset has the axes {', '.join(validation.axes)}, and the dataset "
            f"{', '.join(dataset.axes)}: they have to be equal.",
            field=field,
        )
    if config.eval_fraction:
        raise ValidationDatasetUnfit("Name a validation dataset or set eval_fraction, not both.", field=field)


def _check_slots(session: Session, config: TrainConfig) -> None:
    """Refuse what no slot could ever run. Slots that are only away for now count; before there is any, a job waits."""
    devices = set(session.scalars(select(Slot.device).distinct()))
    if config.needs_cuda and devices and "cuda" not in devices:
        reason = "backend 'unsloth'" if config.backend == "unsloth" else "load_in_4bit"
        raise NoSlotForConfig(
            f"{reason} needs a slot with CUDA, and this installation has only {', '.join(sorted(devices))}. "
            "Leave `backend` and `load_in_4bit` out to run on one of these.",
            field="config.backend" if config.backend == "unsloth" else "config.load_in_4bit",
        )
