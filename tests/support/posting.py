"""Posting jobs in tests without the HTTP API."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from emomodel.config import TrainConfig
from emomodel.sizing.model_shape import ModelShape
from jobs.models import Dataset, Job
from jobs.posting.create import create_job
from jobs.posting.job_request import JobInputs, JobRequest
from jobs.queue.rules import QueueRules

DEFAULTS: dict[str, Any] = {"name": "tune", "base_model": "tiny-gemma", "config": TrainConfig()}


def make_request(dataset: Dataset, **fields: Any) -> JobRequest:
    """A request by the dataset's team; `fields` are those of JobRequest that matter to the test."""
    return JobRequest(**DEFAULTS | {"team_id": dataset.team_id, "dataset_id": dataset.id} | fields)


def post_job(
    session: Session,
    dataset: Dataset,
    *,
    shape: ModelShape | None = None,
    rules: QueueRules | None = None,
    now: datetime | None = None,
    **fields: Any,
) -> Job:
    """Queue a job on the dataset; `fields` are those of JobRequest that matter to the test."""
    inputs = JobInputs(dataset=dataset, shape=shape)
    job, _ = create_job(session, request=make_request(dataset, **fields), inputs=inputs, rules=rules, now=now)
    return job
