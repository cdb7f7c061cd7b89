"""Samples -> a batch of tensors, padded. For samples one after the other see emomodel.batches.packing."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from emomodel.samples.dataset import IGNORED_LABEL


class DataCollatorForEmotionalGemma:
    """Pads the samples of a batch at their end to the longest of them, B samples to T tokens.

    Makes `input_ids`, `attention_mask` and `labels` (B, T) int64, and of the samples' `emotion_vectors` one
    `emotion_vector` (B, T, axes) float32, zero where there is padding. With `batching: "fixed"` all samples come
    with one length, max_length, and keep it.
    """

    def __init__(self, pad_token_id: int, axis_count: int, *, marks_targets: bool = False) -> None:
        """`marks_targets` adds `target_positions` (N,): where the wrapper's loss needs the model's head."""
        self._pad_token_id = pad_token_id
        self._axis_count = axis_count
        self._marks_targets = marks_targets

    def __call__(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        batch = {
            "input_ids": _pad(samples, "input_ids", self._pad_token_id),
            "attention_mask": _pad(samples, "attention_mask", 0),
            "labels": _pad(samples, "labels", IGNORED_LABEL),
            "emotion_vector": pad_sequence(
                [as_emotions(sample, self._axis_count) for sample in samples], batch_first=True
            ),
        }
        if self._marks_targets:
            batch["target_positions"] = find_target_positions(batch["labels"])
        return batch


def shift_labels(labels: Tensor) -> Tensor:
    """What each position of `labels` (B, T) predicts: the label after it. The last predicts nothing."""
    return torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED_LABEL)


def find_target_positions(labels: Tensor) -> Tensor:
    """The positions whose next token is a label, counted through all of `labels` (B, T): (N,) int64."""
    return (shift_labels(labels).flatten() != IGNORED_LABEL).nonzero().squeeze(1)


def as_emotions(sample: Mapping[str, Any], axis_count: int) -> Tensor:
    """The sample's emotion vectors: (tokens, axes) float32."""
    return torch.as_tensor(sample["emotion_vectors"], dtype=torch.float32).view(-1, axis_count)


def _pad(samples: Sequence[Mapping[str, Any]], name: str, value: int) -> Tensor:
    rows = [torch.as_tensor(sample[name], dtype=torch.int64) for sample in samples]
    return pad_sequence(rows, batch_first=True, padding_value=value)


# The collator's name in the seed.
DataCollatorForEmotionalLlama = DataCollatorForEmotionalGemma
