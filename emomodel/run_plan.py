"""How a training runs on this machine: what the config leaves open is decided here, and nowhere else."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from emomodel.acceleration import fits_acceleration
from emomodel.backend import uses_unsloth
from emomodel.batching import BatchOrder, count_batches
from emomodel.collator import DataCollatorForEmotionalGemma
from emomodel.config import TrainConfig
from emomodel.dataset import IGNORED_LABEL, Samples
from emomodel.packing import PackingCollator, Shape
from emomodel.wrapper import EmotionalGemmaUnslothWrapper

logger = logging.getLogger(__name__)

Collator = Callable[[list[Any]], dict[str, Any]]


@dataclass(frozen=True)
class RunPlan:
    """`accelerates`: see emomodel.acceleration. `records_pass`: a pass is recorded once, and replayed."""

    order: BatchOrder
    step_count: int
    collator: Collator
    accelerates: bool
    records_pass: bool


def make_run_plan(
    samples: Samples, wrapper: EmotionalGemmaUnslothWrapper, config: TrainConfig, *, pad_token_id: int
) -> RunPlan:
    """The batches of the training, and the means."""
    has_cuda = torch.cuda.is_available()
    batching = ("packed" if has_cuda else "dynamic") if config.batching == "auto" else config.batching
    batch_count = count_batches(
        len(samples.samples),
        batch_size=config.batch_size,
        gradient_accumulation=config.gradient_accumulation,
        epochs=config.epochs,
        max_steps=config.max_steps,
    )
    order = BatchOrder(
        [sum(sample["attention_mask"]) for sample in samples.samples],
        # The first token's label counts nowhere.
        [sum(label != IGNORED_LABEL for label in sample["labels"][1:]) for sample in samples.samples],
        batch_size=config.batch_size,
        batch_count=batch_count,
        seed=config.seed,
        groups_by_length=config.group_by_length and batching == "dynamic",
    )
    with_unsloth = uses_unsloth(config.backend)
    accelerates = batching == "packed" and fits_acceleration(wrapper, config, with_unsloth=with_unsloth)
    logger.info("batching %s, acceleration %s", batching, "on" if accelerates else "off")
    axis_count = len(samples.samples[0]["emotion_vectors"][0])
    collator: Collator
    if batching == "packed":
        # What is compiled on CUDA, be it here or by Unsloth, is compiled for a shape.
        shape = Shape.of(order.largest, order.longest_example) if has_cuda else None
        collator = PackingCollator(pad_token_id, axis_count, shape=shape, marks_pieces=accelerates)
    else:
        # Unsloth's own loss wants one shape more than it wants fewer positions.
        marks_targets = config.acceleration == "auto" and not with_unsloth
        collator = DataCollatorForEmotionalGemma(pad_token_id, axis_count, marks_targets=marks_targets)
    return RunPlan(
        order=order,
        step_count=-(-batch_count // config.gradient_accumulation),
        collator=collator,
        accelerates=accelerates,
        # A pass with checkpoints asks for the state of the random numbers in its middle.
        records_pass=accelerates and not config.gradient_checkpointing,
    )
