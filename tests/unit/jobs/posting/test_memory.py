"""Whether a training fits a slot, checked before the job is queued."""

import pytest
from sqlalchemy.orm import Session

from emomodel.config import TrainConfig
from emomodel.sizing.model_shape import ModelShape, read_model_shape
from jobs.base_models.base_model import ListedModel
from jobs.database.engine import Database
from jobs.errors import WouldNotFit
from jobs.models import Dataset, Job, Slot
from jobs.posting.memory import describe_changes, find_shape
from jobs.runs import slots
from jobs.settings import GIB, Device, Settings
from tests.support.base_configs import GEMMA_3_1B
from tests.support.posting import post_job

GEMMA_1B = read_model_shape(GEMMA_3_1B)
# A job with these values needs about 57 GiB on a GPU.
LARGE = TrainConfig(backend="unsloth", batching="fixed", batch_size=32, max_length=1024)


def create(session: Session, dataset: Dataset, config: TrainConfig, shape: ModelShape | None = GEMMA_1B) -> Job:
    return post_job(session, dataset, name=None, config=config, shape=shape)


def note(session: Session, name: str, device: Device, memory_gib: int | None) -> None:
    memory_bytes = None if memory_gib is None else memory_gib * GIB
    slots.note_slot(session, name=name, device=device, host="here", memory_bytes=memory_bytes)


def test_a_slot_keeps_the_memory_that_it_was_noted_with_last(database: Database) -> None:
    for memory_gib in (24, 48):
        with database.write() as session:
            note(session, "gpu-0", "cuda", memory_gib)
        with database.read() as session:
            assert session.get_one(Slot, "gpu-0").memory_bytes == memory_gib * GIB


def test_before_there_is_a_slot_a_job_waits_whatever_its_size(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        create(session, dataset, LARGE)


def test_what_no_slot_can_hold_is_refused_with_what_would_fit(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        note(session, "gpu-0", "cuda", 16)
        note(session, "gpu-1", "cuda", 24)
        with pytest.raises(WouldNotFit) as refused:
            create(session, dataset, LARGE)
    assert "activations; the largest slot for it (cuda) has 24.0 GiB. " in refused.value.message
    assert refused.value.message.endswith(
        " Set gradient_checkpointing: true, or batch_size: 8 and gradient_accumulation: 4."
    )


@pytest.mark.parametrize("memory_gib", [None, 80])
def test_one_slot_that_may_hold_it_is_enough(database: Database, dataset: Dataset, memory_gib: int | None) -> None:
    with database.write() as session:
        note(session, "gpu-0", "cuda", 24)
        note(session, "gpu-1", "cuda", memory_gib)
        create(session, dataset, LARGE)


def test_a_slot_that_cannot_run_it_does_not_count(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        note(session, "gpu-0", "cuda", 24)
        note(session, "slot-0", "cpu", 2000)
        with pytest.raises(WouldNotFit):
            create(session, dataset, LARGE)
        create(session, dataset, LARGE.model_copy(update={"backend": "auto"}))


def test_a_model_of_unknown_sizes_is_never_refused(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        note(session, "gpu-0", "cuda", 1)
        create(session, dataset, LARGE, shape=None)


def test_only_the_folder_of_a_known_kind_of_model_has_a_shape(settings: Settings) -> None:
    assert find_shape(ListedModel("tiny-gemma", settings.base_models["tiny-gemma"])) is None
    assert find_shape(ListedModel("hub", "google/gemma-3-1b-it")) is None


def test_advice_reads_as_a_sentence() -> None:
    assert describe_changes([{"gradient_checkpointing": True}, {"batch_size": 4, "gradient_accumulation": 3}]) == (
        "Set gradient_checkpointing: true, or batch_size: 4 and gradient_accumulation: 3."
    )
    assert (
        describe_changes([])
        == "Neither a smaller batch nor a shorter max_length would help; choose a smaller base model."
    )
