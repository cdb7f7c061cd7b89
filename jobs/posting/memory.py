"""Whether a job fits into the memory of any slot, and the sentences that refuse it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emomodel.config import TrainConfig
from emomodel.sizing.advice import suggest
from emomodel.sizing.memory import DatasetStats, Estimate, estimate
from emomodel.sizing.model_shape import ModelShape, find_model_shape
from jobs.base_models.base_model import ListedModel
from jobs.errors import WouldNotFit
from jobs.models import Slot
from jobs.posting.job_request import JobInputs
from jobs.settings import GIB, Device

_WORDS = {
    "weights": "the base model's weights",
    "adapter": "the adapter",
    "optimizer": "the optimizer",
    "activations": "activations",
    "logits": "logits",
    "reserve": "libraries",
}


@dataclass(frozen=True)
class Lack:
    """Why no slot has enough memory for a training."""

    message: str
    """A sentence that includes the changes."""
    changes: Sequence[Mapping[str, Any]]
    """Changes to the config, each of which alone would make it fit. Empty where none would."""


def find_shape(model: ListedModel) -> ModelShape | None:
    """The sizes of a base model;

    None for a hub id or an unsupported kind of model, where only loading it would show them.
    """
    return find_model_shape(Path(model.path).expanduser(), model.stored_bytes) if model.is_folder else None


def measure_needs(*, config: TrainConfig, inputs: JobInputs) -> dict[Device, int]:
    """The memory in bytes that the training needs on each kind of device that can run it; empty when not known."""
    if inputs.shape is None:
        return {}
    stats = DatasetStats.of_report(inputs.dataset.report)
    return {device: estimate(config, inputs.shape, stats, device).total_bytes for device in _list_devices(config)}


def check_memory(session: Session, *, config: TrainConfig, inputs: JobInputs) -> None:
    """Refuse a training that no slot could ever hold. Raises WouldNotFit."""
    lack = find_lack(session, config=config, inputs=inputs)
    if lack is not None:
        raise WouldNotFit(lack.message, field="config")


def find_lack(session: Session, *, config: TrainConfig, inputs: JobInputs) -> Lack | None:
    """Why no slot could ever hold the training, and what would help; None where one could or the model is unknown.

    Slots that are not seen at present count too. A slot of unknown memory might hold anything, and before there is any
    slot, a job waits.
    """
    shape = inputs.shape
    if shape is None:
        return None
    stats = DatasetStats.of_report(inputs.dataset.report)
    needs: dict[Device, Estimate] = {}
    slots: list[tuple[Device, int]] = []
    for device in _list_devices(config):
        needs[device] = estimate(config, shape, stats, device)
        for memory_bytes in session.scalars(select(Slot.memory_bytes).where(Slot.device == device)):
            if memory_bytes is None or needs[device].fits(memory_bytes):
                return None
            slots.append((device, memory_bytes))
    if not slots:
        return None
    device, memory_bytes = min(slots, key=lambda slot: needs[slot[0]].total_bytes - slot[1])
    changes = suggest(config, shape, stats, device, memory_bytes)
    return Lack(f"{describe_lack(needs[device], device, memory_bytes)} {describe_changes(changes)}", changes)


def describe_lack(need: Estimate, device: Device, memory_bytes: int) -> str:
    main = need.main_part
    return (
        f"This training would take about {_in_gib(need.total_bytes)} of memory, {_in_gib(need.parts[main])} of it for "
        f"{_WORDS[main]}; the largest slot for it ({device}) has {_in_gib(memory_bytes)}."
    )


def describe_changes(alternatives: Iterable[Mapping[str, Any]]) -> str:
    """A sentence such as `Set batch_size: 4 and gradient_accumulation: 3, or gradient_checkpointing: true.`"""
    words = [
        " and ".join(f"{name}: {str(value).lower()}" for name, value in changes.items()) for changes in alternatives
    ]
    if not words:
        return "Neither a smaller batch nor a shorter max_length would help; choose a smaller base model."
    return f"Set {', or '.join(words)}."


def _list_devices(config: TrainConfig) -> list[Device]:
    return ["cuda"] if config.needs_cuda else ["cpu", "cuda"]


def _in_gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f} GiB"
