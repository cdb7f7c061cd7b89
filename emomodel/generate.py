"""Load a bundle on its base model, and generate under an emotion.

The same rule that laid the emotions in training lays them here, on the prompt and on the tokens that are written.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from emomodel import bundle
from emomodel.chat import ChatError, ChatFormat
from emomodel.checkpoint import ADAPTER_FOLDER, PROJECTION_FILE, TOKENIZER_FOLDER, load_adapter, load_projection
from emomodel.dataset import lay_emotions
from emomodel.emotions import Axes, EmotionVector
from emomodel.errors import BundleMismatch, PromptRefused
from emomodel.examples import Turn
from emomodel.loading import load_base_model
from emomodel.manifest import Manifest
from emomodel.sampling import Chooser, Sampling
from emomodel.wrapper import EmotionalGemmaUnslothWrapper


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle on its base model, ready to write."""

    model: EmotionalGemmaUnslothWrapper
    tokenizer: PreTrainedTokenizerBase
    manifest: Manifest

    @property
    def axes(self) -> Axes:
        return self.manifest.get_axes()


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A tokenised prompt, and the emotion of each position: of the prompt's, then of the tokens to come."""

    input_ids: list[int]
    vectors: list[EmotionVector]


def load_bundle(path: Path, *, base: str | None = None) -> LoadedBundle:
    """Load a bundle, zip or folder, on the base model at `base`, or on the one that its manifest names.

    Raises BundleError when a file is missing or altered, BundleMismatch when the pieces don't fit each other or the
    base model, ModelLoadFailed when the base model can't be loaded.
    """
    if path.is_dir():
        return _load_folder(path, bundle.verify(path), base)
    with tempfile.TemporaryDirectory(prefix="emomodel-bundle-") as scratch:
        folder = Path(scratch) / "bundle"
        return _load_folder(folder, bundle.unpack(path, folder), base)


def generate(
    loaded: LoadedBundle, prompts: Sequence[str], emotions: Sequence[EmotionVector], sampling: Sampling
) -> list[str]:
    """The replies to `prompts`, one user turn each, under an emotion each. Raises PromptRefused."""
    chats = [(Turn("user", prompt, loaded.axes.neutral),) for prompt in prompts]
    schedules = [[emotion] * (sampling.max_new_tokens + 1) for emotion in emotions]
    return generate_replies(loaded, chats, schedules, sampling)


def generate_replies(
    loaded: LoadedBundle,
    chats: Sequence[Sequence[Turn]],
    schedules: Sequence[Sequence[EmotionVector]],
    sampling: Sampling,
) -> list[str]:
    """The next reply of each chat, whose last turn is a user's.

    A schedule holds the emotion of each token of the reply, in order: max_new_tokens + 1, with the end of the turn.
    Raises PromptRefused.
    """
    chat_format = ChatFormat(loaded.tokenizer)
    prompts = [
        _lay_prompt(loaded, chat_format, chat, schedule) for chat, schedule in zip(chats, schedules, strict=True)
    ]
    stop_ids = _find_stop_ids(loaded, chat_format)
    replies = _write(loaded, prompts, stop_ids, sampling)
    return [str(loaded.tokenizer.decode(reply, skip_special_tokens=True)).strip() for reply in replies]


def _load_folder(folder: Path, manifest: Manifest, base: str | None) -> LoadedBundle:
    base_model = load_base_model(
        base or manifest.base_model,
        # Unsloth speeds training up; inference needs no more than transformers.
        backend="transformers",
        dtype=manifest.config.dtype,
        load_in_4bit=False,
        max_length=manifest.config.max_length,
        # The training's own: its chat template is part of what was learnt.
        tokenizer_path=folder / TOKENIZER_FOLDER,
    )
    if base_model.hidden_size != manifest.hidden_size:
        raise BundleMismatch(
            f"the bundle was trained on {manifest.base_model} with hidden size {manifest.hidden_size}; "
            f"the base model given has {base_model.hidden_size}"
        )
    projection = load_projection(folder / PROJECTION_FILE, manifest).to(base_model.device)
    peft_model = load_adapter(base_model.model, folder / ADAPTER_FOLDER)
    wrapper = EmotionalGemmaUnslothWrapper(
        peft_model, projection, scale=manifest.emotion_scale, centered=manifest.emotion_centered
    )
    wrapper.eval()
    return LoadedBundle(wrapper, base_model.tokenizer, manifest)


def _lay_prompt(
    loaded: LoadedBundle, chat_format: ChatFormat, chat: Sequence[Turn], schedule: Sequence[EmotionVector]
) -> _Prompt:
    try:
        tokens = chat_format.tokenise(chat, with_reply_header=True)
    except ChatError as error:
        raise PromptRefused(str(error)) from error
    own = [*tokens.own, *schedule]
    is_reply = [*tokens.is_reply, *([True] * len(schedule))]
    return _Prompt(tokens.input_ids, lay_emotions(own, is_reply, loaded.axes.neutral, loaded.manifest.emotion_span))


def _find_stop_ids(loaded: LoadedBundle, chat_format: ChatFormat) -> set[int]:
    """The tokens that end a reply: the template's end of turn, and what tokenizer and base model name."""
    configured = loaded.model.generation_config.eos_token_id
    named = configured if isinstance(configured, list) else [configured]
    ids = {chat_format.find_end_of_turn_id(), loaded.tokenizer.eos_token_id, *named}
    return {token_id for token_id in ids if token_id is not None}


@torch.inference_mode()
def _write(loaded: LoadedBundle, prompts: Sequence[_Prompt], stop_ids: set[int], sampling: Sampling) -> list[list[int]]:
    """Token ids of the replies, without what ends them. Each pass feeds one token per row and keeps the rest cached."""
    input_ids, mask, emotion = _pad_prompts(loaded, prompts)
    choose = Chooser(sampling, [prompt.input_ids for prompt in prompts])
    replies: list[list[int]] = [[] for _ in prompts]
    is_open = [True] * len(prompts)
    cache = None
    for count in range(sampling.max_new_tokens):
        output = loaded.model(
            input_ids=input_ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, -input_ids.shape[1] :],
            emotion_vector=emotion,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        chosen = choose(output.logits[:, -1].float(), replies)
        for row, token_id in enumerate(chosen):
            is_open[row] = is_open[row] and token_id not in stop_ids
            if is_open[row]:
                replies[row].append(token_id)
        if not any(is_open):
            break
        input_ids = input_ids.new_tensor(chosen).unsqueeze(1)
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        following = [prompt.vectors[len(prompt.input_ids) + count] for prompt in prompts]
        emotion = emotion.new_tensor(following).unsqueeze(1)
    return replies


def _pad_prompts(loaded: LoadedBundle, prompts: Sequence[_Prompt]) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids and mask (B, T), emotion (B, T, axes). Padding is at the left: all rows end, and go on, together."""
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
