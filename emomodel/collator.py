"""Samples -> a batch of tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from emomodel.dataset import IGNORED_LABEL, Sample


class DataCollatorForEmotionalGemma:
    """Pads the samples of a batch at their end to the longest of them, B samples to T tokens.

    Makes `input_ids`, `attention_mask` and `labels` (B, T) int64, and of the samples' `emotion_vectors` one
    `emotion_vector` (B, T, axes) float32, zero where there is padding. With `batching: "fixed"` all samples come
    with one length, max_length, and keep it.
    """

    def __init__(self, pad_token_id: int, axis_count: int) -> None:
        self._pad_token_id = pad_token_id
        self._axis_count = axis_count

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        length = max(len(sample["input_ids"]) for sample in samples)
        emotion = torch.zeros(len(samples), length, self._axis_count)
        for row, sample in enumerate(samples):
            emotion[row, : len(sample["input_ids"])] = torch.tensor(sample["emotion_vectors"], dtype=torch.float32)
        return {
            "input_ids": _pad([sample["input_ids"] for sample in samples], length, self._pad_token_id),
            "attention_mask": _pad([sample["attention_mask"] for sample in samples], length, 0),
            "labels": _pad([sample["labels"] for sample in samples], length, IGNORED_LABEL),
            "emotion_vector": emotion,
        }


def _pad(rows: Sequence[list[int]], length: int, value: int) -> Tensor:
    return torch.tensor([row + [value] * (length - len(row)) for row in rows], dtype=torch.int64)


# The collator's name in the seed.
DataCollatorForEmotionalLlama = DataCollatorForEmotionalGemma
