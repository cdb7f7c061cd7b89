"""Writing token by token: a batch of prompts, a cache of keys and values, an emotion at each position.

The rule that gives each position its emotion is that of training, for the prompt and for the tokens that are written.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from emomodel.data.examples import Turn
from emomodel.emotions import EmotionVector
from emomodel.errors import EmomodelError, PromptRefused
from emomodel.generation.loaded_bundle import LoadedBundle
from emomodel.samples.chat import ChatFormat
from emomodel.samples.chat_text import ChatError
from emomodel.samples.dataset import lay_emotions

# The emotions of a reply, in order: one for each token, and one for the token that ends the turn.
Schedule = Sequence[EmotionVector]
# Takes logits (B, vocabulary) and the token ids of each reply so far, returns the next token id of each row.
Choose = Callable[[Tensor, Sequence[list[int]]], list[int]]


class ScheduleTooShort(EmomodelError):
    """The schedule has fewer emotions than the reply may have tokens."""

    code = "schedule_too_short"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A tokenised prompt, and the emotions of its positions, followed by those of the reply's."""

    input_ids: list[int]
    vectors: list[EmotionVector]


def lay_prompt(loaded: LoadedBundle, chat: Sequence[Turn], schedule: Schedule, max_new_tokens: int) -> Prompt:
    """Tokenise the chat, whose reply comes next, and lay out the emotions. Raises PromptRefused, ScheduleTooShort."""
    if len(schedule) <= max_new_tokens:
        raise ScheduleTooShort(
            f"the schedule holds {len(schedule)} emotions; {max_new_tokens} tokens and the end of the turn need "
            f"{max_new_tokens + 1}"
        )
    try:
        tokens = ChatFormat(loaded.tokenizer).tokenise(chat, with_reply_header=True)
    except ChatError as error:
        raise PromptRefused(str(error)) from error
    own = [*tokens.own, *schedule]
    is_reply = [*tokens.is_reply, *([True] * len(schedule))]
    return Prompt(tokens.input_ids, lay_emotions(own, is_reply, loaded.axes.neutral, loaded.manifest.emotion_span))


def write(
    loaded: LoadedBundle, prompts: Sequence[Prompt], choose: Choose, max_new_tokens: int
) -> Iterator[list[int | None]]:
    """Yield the next token id of each reply until all have ended; None stands for a reply that has ended.

    The first pass of the model takes the prompts. Each later pass takes one token of each row, under the emotion of its
    position; the keys and values of all earlier tokens are cached.
    """
    stop_ids = _find_stop_ids(loaded)
    input_ids, mask, emotion = _pad_prompts(loaded, prompts)
    replies: list[list[int]] = [[] for _ in prompts]
    is_open = [True] * len(prompts)
    cache = None
    for count in range(max_new_tokens):
        # Inside the loop, so that the caller's code between two tokens doesn't run in this mode.
        with torch.inference_mode():
            output = loaded.model(
                input_ids=input_ids,
                attention_mask=mask,
                position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, -input_ids.shape[1] :],
                emotion_vector=emotion,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            chosen = choose(output.logits[:, -1].float(), replies)
        cache = output.past_key_values
        for row, token_id in enumerate(chosen):
            is_open[row] = is_open[row] and token_id not in stop_ids
            if is_open[row]:
                replies[row].append(token_id)
        if not any(is_open):
            return
        yield [token_id if is_open[row] else None for row, token_id in enumerate(chosen)]
        input_ids = torch.tensor(chosen, device=mask.device).unsqueeze(1)
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        following = [prompt.vectors[len(prompt.input_ids) + count] for prompt in prompts]
        emotion = torch.tensor(following, device=mask.device).unsqueeze(1)


def _find_stop_ids(loaded: LoadedBundle) -> set[int]:
    """The tokens that end a reply: the chat template's ends of turns, and those that tokenizer and base model name."""
    configured = loaded.model.generation_config.eos_token_id
    named = configured if isinstance(configured, list) else [configured]
    ids = {*ChatFormat(loaded.tokenizer).find_end_of_turn_ids(), loaded.tokenizer.eos_token_id, *named}
    return {token_id for token_id in ids if token_id is not None}


def _pad_prompts(loaded: LoadedBundle, prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids and mask (B, T) int64, emotion (B, T, axes) float32. Padding is on the left: all rows end together."""
    device = loaded.model.device
    length = max(len(prompt.input_ids) for prompt in prompts)
    input_ids = torch.full((len(prompts), length), loaded.tokenizer.pad_token_id, device=device)
    mask = torch.zeros_like(input_ids)
    emotion = torch.zeros(len(prompts), length, len(loaded.axes), device=device)
    for row, prompt in enumerate(prompts):
        start = length - len(prompt.input_ids)
        input_ids[row, start:] = input_ids.new_tensor(prompt.input_ids)
        mask[row, start:] = 1
        emotion[row, start:] = emotion.new_tensor(prompt.vectors[: len(prompt.input_ids)])
    return input_ids, mask, emotion
