"""Sampling and Chooser: how the next token is chosen from the model's logits."""

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


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 takes the likeliest, and needs no seed.

    Each prompt of a batch draws from its own generator of random numbers, and all have the same seed. So a prompt gets
    the same reply in a batch as alone, and the replies to one prompt under two emotions differ only by the emotions.
    """

    max_new_tokens: int = 64
    temperature: float = 0.8
    top_p: float = 0.95
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.temperature < 0:
            raise ValueError("max_new_tokens must be at least 1, temperature at least 0")
        if not 0 < self.top_p <= 1 or self.repetition_penalty <= 0:
            raise ValueError("top_p must lie above 0 and at most at 1, repetition_penalty above 0")


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
