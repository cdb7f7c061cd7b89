"""Compares the logits that a bundle writes with, token by token, with those of the complete texts."""

from collections.abc import Sequence

import torch

from emomodel.data.examples import Turn
from emomodel.generation.loaded_bundle import LoadedBundle
from emomodel.generation.sampling import Chooser, Sampling
from emomodel.generation.spoken_emotion import parse_schedule
from emomodel.generation.writing import lay_prompt, write

# Longer than the tiny models' window of 16, so that their sliding layers drop tokens.
PROMPTS = ["How was the concert?", "Tell me about your day, please. " * 3, "Hi"]
SCHEDULES = ["sadness=0.9 for 2 -> joy=0.9", "anger=0.7 interest=0.2 -> neutral -> joy", "neutral for 3 -> fear"]


class Recorder:
    """Chooses as a Chooser does, and records the logits (B, vocabulary) and the chosen tokens of each step."""

    def __init__(self, chooser: Chooser) -> None:
        self.logits: list[torch.Tensor] = []
        self.chosen: list[list[int]] = []
        self._chooser = chooser

    def __call__(self, logits: torch.Tensor, replies: Sequence[list[int]]) -> list[int]:
        self.logits.append(logits.clone())
        self.chosen.append(self._chooser(logits, replies))
        return self.chosen[-1]


def assert_cached_logits_equal_a_full_forward(loaded: LoadedBundle, count: int) -> None:
    """Prompts of different lengths are written in one batch, under emotions that change, for at most `count` tokens."""
    prompts = []
    for text, spoken in zip(PROMPTS, SCHEDULES, strict=True):
        chat = (Turn("user", text, loaded.axes.neutral),)
        prompts.append(lay_prompt(loaded, chat, parse_schedule(spoken, loaded.axes, count), count))
    # At a high temperature the replies differ and end at different steps.
    chooser = Chooser(Sampling(max_new_tokens=count, temperature=2.0), [prompt.input_ids for prompt in prompts])
    recorder = Recorder(chooser)
    for _ in write(loaded, prompts, recorder, count):
        pass
    steps = len(recorder.chosen)
    assert steps > count // 2
    for row, prompt in enumerate(prompts):
        ids = prompt.input_ids + [chosen[row] for chosen in recorder.chosen[:-1]]
        with torch.inference_mode():
            emotion = torch.tensor([prompt.vectors[: len(ids)]])
            whole = loaded.model(input_ids=torch.tensor([ids]), emotion_vector=emotion, use_cache=False).logits[0]
        cached = torch.stack([logits[row] for logits in recorder.logits])
        torch.testing.assert_close(cached, whole[-steps:], atol=1e-4, rtol=0)
