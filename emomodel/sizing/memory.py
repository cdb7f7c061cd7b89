"""Estimates the peak memory of a training without loading anything, and suggests how to reduce it.

docs/memory.md explains what is counted, and compares the estimate with measured peaks.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from emomodel.config import TrainConfig
from emomodel.sizing.memory_costs import (
    BFLOAT16_BYTES,
    CPU_HEAP_FACTOR,
    CPU_RESERVE_BYTES,
    CUDA_RESERVE_BYTES,
    ENDS_BYTES,
    FLOAT32_BYTES,
    FULL_LOGIT_BYTES,
    FUSED_LOGIT_BYTES,
    NF4_BYTES,
    OPTIMIZER_BYTES,
    Device,
    Engine,
    LayerCost,
    find_engine,
    is_packed,
)
from emomodel.sizing.model_shape import ModelShape

# Of English or German text with Gemma's tokenizer. Texts in other scripts take more tokens, so that the estimate is too
# low: it may then accept a job that fails, but never refuses one that could run.
CHARACTERS_PER_TOKEN = 4
# Tokens that Gemma's chat template adds to each message.
TEMPLATE_TOKENS_PER_TURN = 5

# The maximum that TrainConfig accepts.
MAX_ACCUMULATION = 4096
# Shorter examples hold no reply that is worth learning.
MIN_ADVISED_LENGTH = 64


@dataclass(frozen=True)
class DatasetStats:
    """What a training's memory depends on in its dataset. None stands for an unknown value."""

    average_tokens: int | None = None
    """Of all examples."""
    longest_tokens: int | None = None
    """Of the longest example; None if only the average is known."""
    example_count: int | None = None
    label_share: float = 1.0
    """The share of tokens that are learned."""

    @classmethod
    def of_report(cls, report: Mapping[str, Any]) -> "DatasetStats":
        """The statistics in a DatasetReport, as JSON. A report of an earlier release may lack any count.

        At least one batch is as long as the average batch, so memory that can't hold that can't hold the dataset.
        """
        examples, characters = report.get("example_count"), report.get("character_count")
        turns, targets = report.get("turn_count"), report.get("target_count")
        if not examples or not turns or characters is None or targets is None:
            return cls()
        template = TEMPLATE_TOKENS_PER_TURN * turns / examples
        longest = report.get("longest_character_count")
        return cls(
            average_tokens=math.ceil(characters / examples / CHARACTERS_PER_TOKEN + template),
            longest_tokens=math.ceil(longest / CHARACTERS_PER_TOKEN + template) if longest else None,
            example_count=examples,
            label_share=targets / turns,
        )


@dataclass(frozen=True)
class Estimate:
    """The bytes at the peak of a training, by purpose."""

    weights: int
    adapter: int
    optimizer: int
    activations: int
    logits: int
    reserve: int

    @property
    def peak_bytes(self) -> int:
        """The most that PyTorch allocates."""
        return self.total_bytes - self.reserve

    @property
    def total_bytes(self) -> int:
        """All bytes at the peak, including the reserve."""
        return sum(self.parts.values())

    @property
    def parts(self) -> dict[str, int]:
        """The bytes by purpose."""
        return asdict(self)

    @property
    def main_part(self) -> str:
        """The name of the largest part."""
        return max(self.parts, key=lambda name: self.parts[name])

    def fits(self, memory_bytes: int) -> bool:
        """Whether the training fits into `memory_bytes`."""
        return self.total_bytes <= memory_bytes


def estimate(config: TrainConfig, shape: ModelShape, stats: DatasetStats, device: Device) -> Estimate:
    """The memory at the peak, which is reached in the longest batch."""
    engine = find_engine(config, device)
    rows, length = _find_batch(config, stats, device)
    trained = _count_trained(config, shape)
    kept, passing = _count_activations(config, shape, engine, rows, length, device)
    own_length = min(stats.average_tokens or length, length)
    logits = _count_logits(shape, engine, rows * length, math.ceil(rows * own_length * stats.label_share))
    heap_factor = CPU_HEAP_FACTOR if device == "cpu" else 1.0
    return Estimate(
        weights=_count_weights(config, shape, device),
        adapter=trained * FLOAT32_BYTES,
        optimizer=trained * OPTIMIZER_BYTES,
        # The logits are freed before the layers' backward pass begins: only the larger of the two counts.
        activations=round((kept + max(passing - logits, 0)) * heap_factor),
        logits=round(logits * heap_factor),
        reserve=CUDA_RESERVE_BYTES if device == "cuda" else CPU_RESERVE_BYTES,
    )


def suggest(
    config: TrainConfig, shape: ModelShape, stats: DatasetStats, device: Device, memory_bytes: int
) -> list[dict[str, Any]]:
    """Changes to the config, each of which alone makes the training fit into `memory_bytes`, the cheapest first.

    If no single change is enough, the first combination that is; empty if nothing helps.
    """

    def helps(changes: Mapping[str, Any]) -> bool:
        return estimate(config.model_copy(update=changes), shape, stats, device).fits(memory_bytes)

    alone = [next(filter(helps, kind), None) for kind in _list_changes(config, device)]
    if found := [changes for changes in alone if changes is not None]:
        return found
    together: dict[str, Any] = {}
    for kind in [*_list_changes(config, device), _list_lengths(config)]:
        for changes in kind:
            if helps(together | changes):
                return [together | changes]
        together |= kind[-1] if kind else {}
    return []


def _list_changes(config: TrainConfig, device: Device) -> list[list[dict[str, Any]]]:
    """Kinds of changes that hardly alter the training's result; within each kind, the mildest first."""
    changes: list[list[dict[str, Any]]] = []
    if device == "cuda" and config.load_in_4bit is False:
        changes.append([{"load_in_4bit": True}])
    if device == "cuda" and config.backend != "unsloth" and not is_packed(config, device):
        changes.append([{"batching": "packed"}])
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


def _find_batch(config: TrainConfig, stats: DatasetStats, device: Device) -> tuple[int, int]:
    """The examples of a batch, and the tokens that each takes.

    A batch is padded to its longest example; in packed batches examples take their own length, on average the mean.
    """
    rows = config.batch_size if stats.example_count is None else min(config.batch_size, stats.example_count)
    own = stats.average_tokens if is_packed(config, device) else stats.longest_tokens or stats.average_tokens
    if config.batching == "fixed" or own is None:
        return rows, config.max_length
    return rows, min(own, config.max_length)


def _count_weights(config: TrainConfig, shape: ModelShape, device: Device) -> int:
    in_4bit = device == "cuda" if config.load_in_4bit is None else config.load_in_4bit
    size = FLOAT32_BYTES if config.dtype == "float32" else BFLOAT16_BYTES
    if not in_4bit:
        return shape.parameter_count * size
    return round(shape.linear_count * NF4_BYTES) + (shape.parameter_count - shape.linear_count) * size


def _count_trained(config: TrainConfig, shape: ModelShape) -> int:
    """Parameters of the adapter, and of the emotion projection without its first layer, which is tiny."""
    adapted = [shape.linear_sizes[name] for name in config.lora_modules]
    lora = shape.layer_count * config.lora_rank * sum(width + height for width, height in adapted)
    return lora + shape.hidden_size * (shape.hidden_size // 2)


def _count_activations(
    config: TrainConfig, shape: ModelShape, engine: Engine, rows: int, length: int, device: Device
) -> tuple[int, int]:
    """The bytes kept from the forward pass on, and the bytes that the backward pass of a layer adds."""
    tokens = rows * length
    mask_length = 0 if is_packed(config, device) else length

    def count_layer(cost: LayerCost) -> int:
        return tokens * (
            cost.hidden * shape.hidden_size
            + cost.query * shape.query_size
            + cost.key_value * shape.key_value_size
            + cost.intermediate * shape.intermediate_size
            + cost.rank * config.lora_rank
            + cost.mask * mask_length
        )

    ends = tokens * ENDS_BYTES * shape.hidden_size
    backward = count_layer(engine.backward)
    if not config.gradient_checkpointing:
        return ends + shape.layer_count * count_layer(engine.layer), backward
    # Layers are recomputed one at a time; each then holds its activations and those of its backward pass.
    size = FLOAT32_BYTES if config.dtype == "float32" else BFLOAT16_BYTES
    return ends + shape.layer_count * tokens * size * shape.hidden_size, 2 * backward


def _count_logits(shape: ModelShape, engine: Engine, tokens: int, learnt: int) -> int:
    """The bytes of the logits of a batch of `tokens`, including padding, of which `learnt` have labels."""
    if engine.full_logits == "all":
        return tokens * shape.vocab_size * FULL_LOGIT_BYTES
    if engine.full_logits == "labels":
        return learnt * shape.vocab_size * FULL_LOGIT_BYTES
    return min(tokens * shape.vocab_size * FUSED_LOGIT_BYTES, engine.chunk_bytes)
