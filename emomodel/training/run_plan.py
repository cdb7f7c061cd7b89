"""make_run_plan: how a training runs on this machine. Only here is decided what the config leaves open."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from emomodel.batches.balance import balance_by_axes
from emomodel.batches.collator import DataCollatorForEmotionalGemma
from emomodel.batches.order import BatchOrder, Size, measure_in_order
from emomodel.batches.packing import PackingCollator, Shape
from emomodel.config import TrainConfig
from emomodel.errors import ModelLoadFailed
from emomodel.model.loading import LoadedBaseModel
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.samples.dataset import IGNORED_LABEL, Sample
from emomodel.sizing.steps import count_batches, count_steps
from emomodel.training.acceleration import Preparation, prepare_acceleration
from emomodel.training.probes import keeps_examples_apart
from emomodel.training.sample_loading import LoadedSamples

logger = logging.getLogger(__name__)

Collator = Callable[[list[Any]], dict[str, Any]]


@dataclass(frozen=True)
class RunPlan:
    """How a training runs.

    `batching` is never "auto". `step_count` and `eval_every` are in steps; `eval_every` is None where nothing is held
    out. `accelerates` uses emomodel.training.acceleration, `records_updates` emomodel.training.cuda_graph.
    """

    order: BatchOrder
    batching: str
    step_count: int
    collator: Collator
    eval_collator: Collator
    eval_every: int | None
    accelerates: bool
    records_updates: bool


def make_run_plan(
    loaded: LoadedSamples, wrapper: EmotionalGemmaUnslothWrapper, config: TrainConfig, base: LoadedBaseModel
) -> RunPlan:
    """Decide how to train `wrapper`, on `base`, on the loaded samples: the batches, their order, the acceleration.

    Raises ModelLoadFailed when the config asks for packed batches and the base model would mix their examples.
    """
    has_cuda, pad_token_id = torch.cuda.is_available(), int(base.tokenizer.pad_token_id)
    batching, prepared = _choose_batching(wrapper, config, with_unsloth=base.loaded_by == "unsloth")
    logger.info("batching %s, acceleration %s", batching, "on" if prepared.accelerates else "off")
    order = _make_order(loaded.training.samples, config, batching=batching)
    first_sample = loaded.training.samples[0]
    filler_id, axis_count = first_sample["input_ids"][0], len(first_sample["emotion_vectors"][0])

    def make_collator(largest: Size, longest: int) -> Collator:
        if batching == "packed":
            # On CUDA code is compiled for a shape, both here and by Unsloth.
            shape = Shape.of(largest, longest) if has_cuda else None
            return PackingCollator(filler_id, axis_count, shape=shape, marks_pieces=prepared.accelerates)
        # Unsloth's loss gains more from a fixed number of positions than from fewer of them.
        marks_targets = config.acceleration == "auto" and not prepared.runs_unsloth
        return DataCollatorForEmotionalGemma(pad_token_id, axis_count, marks_targets=marks_targets)

    held_out = loaded.held_out.samples
    lengths = [_count_tokens(sample) for sample in held_out]
    largest = measure_in_order(lengths, [_count_targets(sample) for sample in held_out], config.batch_size)
    step_count = count_steps(len(order), config.gradient_accumulation)
    steps_per_epoch = max(order.batches_per_epoch // config.gradient_accumulation, 1)
    return RunPlan(
        order=order,
        batching=batching,
        step_count=step_count,
        collator=make_collator(order.largest, order.longest_example),
        eval_collator=make_collator(largest, max(lengths, default=1)),
        eval_every=(config.eval_every or steps_per_epoch) if held_out else None,
        accelerates=prepared.accelerates,
        # Gradient checkpointing reads the state of the random numbers within a pass, which can't be recorded.
        records_updates=prepared.accelerates and not config.gradient_checkpointing,
    )


def _choose_batching(
    wrapper: EmotionalGemmaUnslothWrapper, config: TrainConfig, *, with_unsloth: bool
) -> tuple[str, Preparation]:
    """Return the batching, never "auto", and how the model was prepared. Only packed batches are accelerated."""
    preferred = "packed" if torch.cuda.is_available() else "dynamic"
    batching = preferred if config.batching == "auto" else config.batching
    if batching != "packed":
        return batching, Preparation(accelerates=False, runs_unsloth=with_unsloth)
    prepared = prepare_acceleration(wrapper, config, with_unsloth=with_unsloth)
    if prepared.accelerates or keeps_examples_apart(wrapper, marks_pieces=False):
        return batching, prepared
    if config.batching == "packed":
        raise ModelLoadFailed("packed examples would influence each other in this base model; set batching: auto")
    return "dynamic", prepared


def _make_order(samples: list[Sample], config: TrainConfig, *, batching: str) -> BatchOrder:
    batch_count = count_batches(
        len(samples),
        batch_size=config.batch_size,
        gradient_accumulation=config.gradient_accumulation,
        epochs=config.epochs,
        max_steps=config.max_steps,
    )
    return BatchOrder(
        [_count_tokens(sample) for sample in samples],
        [_count_targets(sample) for sample in samples],
        batch_size=config.batch_size,
        batch_count=batch_count,
        seed=config.seed,
        groups_by_length=config.group_by_length and batching == "dynamic",
        # All packed batches are padded to the size of the largest one.
        evens_batches=batching == "packed",
        weights=balance_by_axes(samples) if config.balance == "axes" else None,
    )


def _count_tokens(sample: Sample) -> int:
    return sum(sample["attention_mask"])


def _count_targets(sample: Sample) -> int:
    # The label of the first token counts nowhere, since nothing predicts it.
    return sum(label != IGNORED_LABEL for label in sample["labels"][1:])
