"""PackingCollator: samples become a batch of one row, one sample after the other, with no padding between them.

`position_ids` starts at 0 with each sample. transformers makes of it a mask that lets no sample attend to another, but
only for a batch without an `attention_mask`. Attention that needs no mask gets the start of each sample instead.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from emomodel.batches.collator import as_emotions, find_target_positions
from emomodel.batches.order import Size
from emomodel.samples.dataset import IGNORED_LABEL

# A row of a fixed shape has a multiple of 64 tokens, at which the matrix units of a GPU are fastest.
_TOKEN_STEP = 64


@dataclass(frozen=True)
class Shape:
    """One shape for all batches of a training, so that what is compiled or recorded for the first fits every one."""

    token_count: int
    target_count: int
    # The row consists of pieces: the samples, and the padding at its end in pieces no longer than `longest`.
    piece_count: int
    longest: int

    @classmethod
    def of(cls, largest: Size, longest_example: int) -> "Shape":
        """The shape for batches up to `largest`, whose longest example has `longest_example` tokens."""
        tokens = _round_up(largest.token_count)
        return cls(
            token_count=tokens,
            target_count=min(_round_up(largest.target_count), tokens),
            # The padding may fill nearly all of the row.
            piece_count=largest.example_count + math.ceil(tokens / longest_example),
            longest=longest_example,
        )


class PackingCollator:
    """Puts the samples of a batch into one row of T tokens.

    A batch has `input_ids`, `position_ids` and `labels` (1, T) int64, `emotion_vector` (1, T, axes) float32, and
    `target_positions` (N,) int64: the positions whose next token counts in the loss. With a `shape` every batch has the
    same T and N: the row is padded at its end, and `target_positions` with T - 1, a position that predicts nothing.
    """

    def __init__(
        self, filler_id: int, axis_count: int, *, shape: Shape | None = None, marks_pieces: bool = False
    ) -> None:
        """Make batches for a model of `axis_count` axes, padded with the token `filler_id`.

        The token's embedding must not be zero, as that of the padding token may be: the padding is computed like the
        examples, and Gemma 3n has no gradient where it normalises a zero.

        `marks_pieces`, which needs a `shape`, adds `cu_seq_lens_q` (P + 1,) int32, the start of each of P pieces and
        the end of the last, and `max_length_q`, the maximum length of a piece, in tokens.
        """
        self._filler_id = filler_id
        self._axis_count = axis_count
        self._shape = shape
        self._marks_pieces = marks_pieces

    def __call__(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor | int]:
        lengths = [len(sample["input_ids"]) for sample in samples]
        pieces = lengths + self._split_padding(sum(lengths))
        length = sum(pieces)
        labels = self._join(samples, "labels", length, IGNORED_LABEL)
        # The first token of a sample must not be predicted from the sample before it.
        labels[0, torch.tensor([0, *lengths[:-1]]).cumsum(0)] = IGNORED_LABEL
        emotion = torch.zeros(1, length, self._axis_count)
        emotion[0, : sum(lengths)] = torch.cat([as_emotions(sample, self._axis_count) for sample in samples])
        batch: dict[str, Tensor | int] = {
            "input_ids": self._join(samples, "input_ids", length, self._filler_id),
            "position_ids": torch.cat([torch.arange(piece) for piece in pieces]).unsqueeze(0),
            "labels": labels,
            "emotion_vector": emotion,
            "target_positions": self._find_targets(labels),
        }
        if self._marks_pieces and self._shape is not None:
            starts = torch.tensor([0, *pieces]).cumsum(0, dtype=torch.int32)
            # Pieces of no tokens at the end, so that every batch has the same number of pieces.
            missing = self._shape.piece_count - len(pieces)
            batch["cu_seq_lens_q"] = torch.nn.functional.pad(starts, (0, missing), value=length)
            batch["max_length_q"] = self._shape.longest
        return batch

    def _split_padding(self, token_count: int) -> list[int]:
        """The lengths of the pieces that the padding after `token_count` tokens is split into."""
        if self._shape is None:
            return []
        full, rest = divmod(self._shape.token_count - token_count, self._shape.longest)
        return [self._shape.longest] * full + [rest] * (rest > 0)

    def _join(self, samples: Sequence[Mapping[str, Any]], name: str, length: int, fill: int) -> Tensor:
        row = torch.full((1, length), fill)
        joined = torch.cat([torch.as_tensor(sample[name], dtype=torch.int64) for sample in samples])
        row[0, : len(joined)] = joined
        return row

    def _find_targets(self, labels: Tensor) -> Tensor:
        positions = find_target_positions(labels)
        if self._shape is None:
            return positions
        missing = self._shape.target_count - len(positions)
        return torch.nn.functional.pad(positions, (0, missing), value=labels.shape[1] - 1)


def _round_up(count: int) -> int:
    return math.ceil(count / _TOKEN_STEP) * _TOKEN_STEP
