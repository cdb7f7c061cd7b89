"""The digest by which a repeated request is recognised."""

import hashlib
import json
from dataclasses import replace

import pytest

from emomodel.config import TrainConfig
from jobs.posting.job_request import JobRequest
from jobs.priorities import PriorityClass

REQUEST = JobRequest(
    team_id="team_0",
    base_model="tiny-gemma",
    dataset_id="ds_0",
    validation_dataset_id="ds_1",
    name="warm",
    priority=3,
    config=TrainConfig(epochs=1),
)


def test_a_request_of_an_earlier_release_is_known_again() -> None:
    plain = REQUEST.sha256
    assert replace(REQUEST, priority_class=PriorityClass.NORMAL, timeout_seconds=None).sha256 == plain
    others = [replace(REQUEST, priority_class=PriorityClass.LOW), replace(REQUEST, timeout_seconds=60.0)]
    assert len({plain, *(other.sha256 for other in others)}) == 3


@pytest.mark.parametrize(
    ("changes", "extras"),
    [
        ({}, []),
        ({"priority_class": PriorityClass.URGENT}, [{"priority_class": "urgent"}]),
        ({"timeout_seconds": 60.0}, [{"timeout_seconds": 60.0}]),
        (
            {"priority_class": PriorityClass.URGENT, "timeout_seconds": 60.0},
            [{"priority_class": "urgent"}, {"timeout_seconds": 60.0}],
        ),
    ],
)
def test_the_digest_is_the_one_that_stored_jobs_have(changes: dict[str, object], extras: list[object]) -> None:
    """Every release writes the digest in this form, because it is compared with those of jobs in the database."""
    config = TrainConfig(epochs=1).model_dump(mode="json")
    text = json.dumps(["warm", 3, "tiny-gemma", "ds_0", "ds_1", config, *extras], sort_keys=True)
    assert replace(REQUEST, **changes).sha256 == hashlib.sha256(text.encode()).hexdigest()  # type: ignore[arg-type]


def test_the_digest_leaves_out_who_asks() -> None:
    other = replace(REQUEST, team_id="team_1", idempotency_key="k", posted_by="ci", traceparent="00-1-2-01")
    assert other.sha256 == REQUEST.sha256
