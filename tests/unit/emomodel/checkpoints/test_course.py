from pathlib import Path
from typing import Any

import pytest

from emomodel.checkpoints.course import digest_course
from emomodel.protocol.train_request import TrainRequest, ValidationDataset

REQUEST = TrainRequest.model_validate(
    {
        "dataset_path": "/data/a.jsonl",
        "dataset_name": "a",
        "dataset_sha256": "a" * 64,
        "base_model": "tiny",
        "base_model_path": "/models/tiny",
        "config": {},
        "output_dir": "/out",
    }
)
VALIDATION = ValidationDataset(path=Path("/data/b.jsonl"), name="b", sha256="b" * 64)


def digest(config: dict[str, Any] | None = None, **changes: Any) -> str:
    config_changes = {"config": REQUEST.config.model_copy(update=config or {})}
    return digest_course(REQUEST.model_copy(update=config_changes | changes), batching="dynamic")


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"lora_rank": 4}},
        {"config": {"batch_size": 6, "gradient_accumulation": 2}},
        {"config": {"epochs": 5.0}},
        {"dataset_sha256": "c" * 64},
        {"validation": VALIDATION},
        {"base_model": "other"},
        {"axes": ("UP_DOWN",)},
    ],
)
def test_what_changes_the_training_changes_the_digest(changes: dict[str, Any]) -> None:
    assert digest(**changes) != digest()
    assert digest_course(REQUEST, batching="packed") != digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"checkpoint_every": 7, "log_every": 3, "eval_every": 5, "row_report": True, "auto_batch": True}},
        {"output_dir": Path("/elsewhere"), "checkpoint_dir": Path("/c"), "dataset_path": Path("/moved.jsonl")},
        {"base_model_path": "/moved", "dataset_name": "renamed"},
    ],
)
def test_paths_and_reporting_intervals_do_not_change_the_digest(changes: dict[str, Any]) -> None:
    assert digest(**changes) == digest()
