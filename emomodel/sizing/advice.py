"""Suggests how to reduce the memory of a training."""

from collections.abc import Iterator, Mapping
from typing import Any

from emomodel.config import TrainConfig
from emomodel.sizing.memory import DatasetStats, estimate
from emomodel.sizing.memory_costs import Device, is_packed
from emomodel.sizing.model_shape import ModelShape

# The maximum that TrainConfig accepts.
MAX_ACCUMULATION = 4096
# Shorter examples hardly hold a reply.
MIN_ADVISED_LENGTH = 64


def suggest(
    config: TrainConfig, shape: ModelShape, stats: DatasetStats, device: Device, memory_bytes: int
) -> list[dict[str, Any]]:
    """Changes to the config, each of which alone makes the training fit into `memory_bytes`, the cheapest first.

    If no single change is enough, the first combination that is; empty if nothing helps.
    """

    def helps(changes: Mapping[str, Any]) -> bool:
        return estimate(config.model_copy(update=changes), shape, stats, device).fits(memory_bytes)

    kinds = _list_changes(config, shape, device)
    alone = [next(filter(helps, kind), None) for kind in kinds]
    if found := [changes for changes in alone if changes is not None]:
        return found
    together: dict[str, Any] = {}
    for kind in [*kinds, _list_lengths(config)]:
        for changes in kind:
            if helps(together | changes):
                return [together | changes]
        together |= kind[-1] if kind else {}
    return []


def _list_changes(config: TrainConfig, shape: ModelShape, device: Device) -> list[list[dict[str, Any]]]:
    """Kinds of changes that hardly alter the training's result; within each kind, the mildest first."""
    changes: list[list[dict[str, Any]]] = []
    if device == "cuda" and config.load_in_4bit is False:
        changes.append([{"load_in_4bit": True}])
    if device == "cuda" and config.backend != "unsloth" and not is_packed(config, device):
        changes.append([{"batching": "packed" if shape.is_packable else "dynamic"}])
    if device == "cuda" and config.acceleration == "off":
        changes.append([{"acceleration": "auto"}])
    if not config.gradient_checkpointing:
        changes.append([{"gradient_checkpointing": True}])
    if config.batch_size > 1:
        changes.append(list(_list_batches(config)))
    return changes


def _list_batches(config: TrainConfig) -> Iterator[dict[str, Any]]:
    """Smaller batches with more accumulation, so that updates stay the same."""
    product = config.batch_size * config.gradient_accumulation
    for batch_size in range(config.batch_size - 1, 0, -1):
        if product % batch_size == 0 and product // batch_size <= MAX_ACCUMULATION:
            yield {"batch_size": batch_size, "gradient_accumulation": product // batch_size}


def _list_lengths(config: TrainConfig) -> list[dict[str, Any]]:
    lengths = []
    length = config.max_length // 2
    while length >= MIN_ADVISED_LENGTH:
        lengths.append({"max_length": length})
        length //= 2
    return lengths
