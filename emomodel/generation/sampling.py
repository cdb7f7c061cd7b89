"""Sampling and Chooser: how the next token is chosen from the model's logits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from emomodel.errors import EmomodelError

# No base model takes longer texts; a schedule has an emotion for each of them.
MAX_NEW_TOKENS = 131_072
# PyTorch's generators take 64 bits.
MAX_SEED = 2**64 - 1


class SamplingInvalid(EmomodelError, ValueError):
    """A setting of the sampling is out of range.

    It is a ValueError too: raised by a pydantic validator, it becomes a ValidationError.
    """

    code = "sampling_invalid"


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 takes the likeliest, and needs no seed. Raises SamplingInvalid.

    Each prompt of a batch draws from its own generator of random numbers, and all have the same seed. So a prompt gets
    the same reply in a batch as alone, and the replies to one prompt under two emotions differ only by the emotions.
    """

    max_new_tokens: int = 64
    temperature: float = 0.8
    top_p: float = 0.95
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.max_new_tokens <= MAX_NEW_TOKENS:
            raise SamplingInvalid(f"max_new_tokens is {self.max_new_tokens}; it must be from 1 to {MAX_NEW_TOKENS}")
        if not 0 <= self.temperature < math.inf:
            raise SamplingInvalid(f"temperature is {self.temperature:g}; it must be 0 or a positive number")
        if not 0 < self.top_p <= 1:
            raise SamplingInvalid(f"top_p is {self.top_p:g}; it must be above 0 and at most 1")
        if not 0 < self.repetition_penalty < math.inf:
            raise SamplingInvalid(f"repetition_penalty is {self.repetition_penalty:g}; it must be a positive number")
        if not 0 <= self.seed <= MAX_SEED:
            raise SamplingInvalid(f"seed is {self.seed}; it must be from 0 to {MAX_SEED}")


class Chooser:
    """Chooses the next token of each row of a batch. `prompts` are the token ids of each row's prompt."""

    def __init__(self, sampling: Sampling, prompts: Sequence[list[int]]) -> None:
        self._is_greedy = sampling.temperature == 0
        self._generators = [torch.Generator().manual_seed(sampling.seed) for _ in prompts]
        self._prompts = prompts
        self._processors = LogitsProcessorList()
        if sampling.repetition_penalty != 1:
            self._processors.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
        if not self._is_greedy:
            self._processors.append(TemperatureLogitsWarper(sampling.temperature))
            if sampling.top_p < 1:
                self._processors.append(TopPLogitsWarper(sampling.top_p))

    def __call__(self, logits: Tensor, replies: Sequence[list[int]]) -> list[int]:
        """Return one token id for each row of `logits` (B, vocabulary), given the token ids of each reply so far."""
        chosen = []
        for row, prompt in enumerate(self._prompts):
            # Row by row, since the repetition penalty must see the text of the row without its padding.
            text: Any = torch.tensor([prompt + replies[row]], device=logits.device)
            row_logits: Any = logits[row : row + 1]
            scores = self._processors(text, row_logits)[0].cpu()
            if self._is_greedy:
                chosen.append(int(scores.argmax()))
            else:
                draw = torch.multinomial(scores.softmax(-1), 1, generator=self._generators[row])
                chosen.append(int(draw))
        return chosen
