"""Samples as tensors."""

import torch
from torch import Tensor

from emomodel.samples.dataset import Sample


def as_tensors(sample: Sample) -> dict[str, Tensor]:
    """The same sample as tensors, which batches are put together from many times faster than from lists."""
    return {
        "input_ids": torch.tensor(sample["input_ids"]),
        "attention_mask": torch.tensor(sample["attention_mask"]),
        "emotion_vectors": torch.tensor(sample["emotion_vectors"], dtype=torch.float32),
        "labels": torch.tensor(sample["labels"]),
    }
