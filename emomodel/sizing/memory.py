"""Estimates the peak memory of a training without loading anything.

docs/memory.md explains what is counted, and compares the estimate with measured peaks.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from emomodel.config import TrainConfig
from emomodel.sizing.layer_shapes import LayerShape
from emomodel.sizing.memory_costs import (
    BFLOAT16_BYTES,
    CPU_HEAP_FACTOR,
    CPU_RESERVE_BYTES,
    CUDA_RESERVE_BYTES,
    ENDS_BYTES,
    EXPERT_COPIES,
    FLOAT32_BYTES,
    FULL_LOGIT_BYTES,
    FUSED_LOGIT_BYTES,
    NF4_BYTES,
    OPTIMIZER_BYTES,
    PER_LAYER_COPIES,
    STREAM_COPIES,
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
    config = _resolve(config, shape, device)
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


def _resolve(config: TrainConfig, shape: ModelShape, device: Device) -> TrainConfig:
    """The config that describes how a model of this shape is trained where `config` leaves that to the training."""
    if not is_packed(config, device) or shape.is_accelerable:
        return config
    return config.model_copy(update={"acceleration": "off"} if shape.is_packable else {"batching": "dynamic"})


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
    size = _find_float_bytes(config)
    if not in_4bit:
        return shape.parameter_count * size
    # Experts are no linear modules, and Unsloth leaves the towers as they are.
    quantised = shape.linear_count + (shape.towers.linear_count if config.backend == "transformers" else 0)
    return round(quantised * NF4_BYTES) + (shape.parameter_count - quantised) * size


def _count_trained(config: TrainConfig, shape: ModelShape) -> int:
    """Parameters of the adapter, and of the emotion projection without its first layer, which is tiny."""
    adapted = sum(
        linear.width + linear.height
        for layer in shape.layers
        for linear in layer.linear
        if any(name in config.lora_modules for name in linear.names)
    )
    return config.lora_rank * adapted + shape.hidden_size * (shape.hidden_size // 2)


def _count_activations(
    config: TrainConfig, shape: ModelShape, engine: Engine, rows: int, length: int, device: Device
) -> tuple[int, int]:
    """The bytes kept from the forward pass on, and the bytes that the backward pass of a layer adds."""
    tokens = rows * length
    mask_length = 0 if is_packed(config, device) else length
    size = _find_float_bytes(config)
    streams = STREAM_COPIES * size * shape.stream_count * shape.hidden_size if shape.stream_count > 1 else 0

    def count_layer(cost: LayerCost, layer: LayerShape) -> int:
        return tokens * (
            cost.hidden * shape.hidden_size
            + cost.query * layer.query_size
            + cost.key_value * layer.key_value_size
            + cost.intermediate * layer.intermediate_size
            + cost.rank * config.lora_rank
            + cost.mask * mask_length
            + EXPERT_COPIES * size * layer.expert_uses * shape.hidden_size
            + streams
        )

    per_layer = PER_LAYER_COPIES * size * len(shape.layers) * shape.per_layer_size
    ends = tokens * (ENDS_BYTES * shape.hidden_size + per_layer)
    backward = max(count_layer(engine.backward, layer) for layer in shape.layers)
    if not config.gradient_checkpointing:
        return ends + sum(count_layer(engine.layer, layer) for layer in shape.layers), backward
    # Layers are recomputed one at a time; each then holds its activations and those of its backward pass.
    kept = len(shape.layers) * tokens * size * shape.hidden_size * shape.stream_count
    return ends + kept, 2 * backward


def _find_float_bytes(config: TrainConfig) -> int:
    return FLOAT32_BYTES if config.dtype == "float32" else BFLOAT16_BYTES


def _count_logits(shape: ModelShape, engine: Engine, tokens: int, learnt: int) -> int:
    """The bytes of the logits of a batch of `tokens`, including padding, of which `learnt` have labels."""
    if engine.full_logits == "all":
        return tokens * shape.vocab_size * FULL_LOGIT_BYTES
    if engine.full_logits == "labels":
        return learnt * shape.vocab_size * FULL_LOGIT_BYTES
    return min(tokens * shape.vocab_size * FUSED_LOGIT_BYTES, engine.chunk_bytes)
