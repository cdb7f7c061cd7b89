"""EmotionalGemmaUnslothWrapper: a base model that hears an emotion at each token.

`emotion_proj_embed` maps an emotion vector to the hidden size; the result is added to the token's input embedding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import CausalLMOutputWithPast

from emomodel.config import EmotionInit
from emomodel.dataset import IGNORED_LABEL


def make_projection(axis_count: int, hidden_size: int, init: EmotionInit) -> nn.Sequential:
    """The emotion projection, float32: (..., axis_count) -> (..., hidden_size).

    `zero_last` makes the last layer zero, so that training starts from the base model's own behaviour. PyTorch's own
    initialisation starts with an offset larger than a token's embedding, and spoils the model first (FACTS: loss 11.7).
    """
    middle = hidden_size // 2
    last = nn.Linear(middle, hidden_size, dtype=torch.float32)
    if init == "zero_last":
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(axis_count, middle, dtype=torch.float32), nn.LayerNorm(middle, dtype=torch.float32), nn.GELU(), last
    )


class EmotionalGemmaUnslothWrapper(nn.Module):
    """Holds the base model as `model` and the emotion projection as `emotion_proj_embed`.

    Attributes that the wrapper lacks are the base model's, so that PEFT and the Trainer find what they ask for.
    """

    # Names that the Trainer reads: the input that has one entry per token, and that forward() takes num_items_in_batch.
    main_input_name = "input_ids"
    accepts_loss_kwargs = True

    model: Any
    emotion_proj_embed: nn.Sequential

    def __init__(self, model: nn.Module, projection: nn.Sequential, *, scale: float, centered: bool) -> None:
        """`projection` is in float32. `centered`: the offset is scale * (proj(e) - proj(0)), so neutral has none."""
        super().__init__()
        self.model = model
        self.emotion_proj_embed = projection
        self.emotion_scale = scale
        self.emotion_centered = centered

    def __getattr__(self, name: str) -> Any:
        # nn.Module keeps submodules out of __dict__, so `self.model` itself comes through here.
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "model":
                raise
            return getattr(self.model, name)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        emotion_vector: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """The base model's output for `input_ids` (B, T) under `emotion_vector` (B, T, axes); none means neutral.

        `inputs_embeds` (B, T, hidden) may stand in for `input_ids`: the embeddings as the base model's own embedding
        layer gives them, without an emotion. `kwargs` go on to the base model: position_ids, past_key_values,
        num_items_in_batch. With `labels` (B, T) the output has a `loss`; on a CPU it then has no logits.
        """
        if inputs_embeds is None:
            # Gemma's embedding layer scales by sqrt(hidden) itself; the offset comes on top of that.
            inputs_embeds = self.get_input_embeddings()(input_ids)
        given = {name: value for name, value in kwargs.items() if value is not None}
        if self.training:
            given["use_cache"] = False
        given |= {"attention_mask": attention_mask, "inputs_embeds": self._add_offset(inputs_embeds, emotion_vector)}
        if labels is None:
            return self.model(**given)
        head = self.get_output_embeddings()
        if inputs_embeds.device.type == "cpu" and head is not None:
            return self._loss_where_labels_are(head, labels, given)
        return self.model(labels=labels, **given)

    def offset(self, emotion_vector: Tensor) -> Tensor:
        """What an emotion (..., axes) adds to a token's input embedding: (..., hidden), float32."""
        # Autocast would run the small projection in 16 bits, where close intensities become one.
        with torch.autocast(emotion_vector.device.type, enabled=False):
            emotion = emotion_vector.float()
            offset = self.emotion_proj_embed(emotion)
            if self.emotion_centered:
                neutral = self.emotion_proj_embed(torch.zeros(emotion.shape[-1], device=emotion.device))
                # The factor makes neutral exactly nothing, where the difference of two roundings would be almost so.
                offset = (offset - neutral) * emotion.any(dim=-1, keepdim=True)
            scaled: Tensor = self.emotion_scale * offset
            return scaled

    def _add_offset(self, embeds: Tensor, emotion_vector: Tensor | None) -> Tensor:
        if emotion_vector is None:
            first: Any = self.emotion_proj_embed[0]
            emotion_vector = torch.zeros(*embeds.shape[:-1], first.in_features, device=embeds.device)
        return (embeds.float() + self.offset(emotion_vector)).to(embeds.dtype)

    def _loss_where_labels_are(self, head: nn.Module, labels: Tensor, given: dict[str, Any]) -> CausalLMOutputWithPast:
        """The base model's loss with its head computed only at the positions that predict a label.

        On a CPU the head over a large vocabulary is most of the work, and prompts need none of it (FACTS: 394 against
        243 tokens/s). The model's own forward runs, so that soft-capping and the like stay as they are.
        """
        item_count = given.pop("num_items_in_batch", None)
        # Position t predicts the token at t + 1; the last position predicts nothing.
        shifted = nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED_LABEL).flatten()
        positions = torch.nonzero(shifted != IGNORED_LABEL).squeeze(1)
        with _only_positions(head, positions):
            logits = self.model(**given).logits
        loss = self.loss_function(
            logits,
            labels=None,
            vocab_size=logits.shape[-1],
            shift_labels=shifted[positions],
            num_items_in_batch=item_count,
        )
        return CausalLMOutputWithPast(loss=loss)

    def get_input_embeddings(self) -> nn.Module:
        embeddings: nn.Module = self.model.get_input_embeddings()
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module | None:
        embeddings: nn.Module | None = self.model.get_output_embeddings()
        return embeddings

    def gradient_checkpointing_enable(self, **kwargs: Any) -> None:
        self.model.gradient_checkpointing_enable(**kwargs)

    def gradient_checkpointing_disable(self) -> None:
        self.model.gradient_checkpointing_disable()

    def prepare_inputs_for_generation(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The base model's; PEFT asks for it when it wraps a causal model."""
        inputs: dict[str, Any] = self.model.prepare_inputs_for_generation(*args, **kwargs)
        return inputs

    def generate(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refused with a TypeError: the base model's own generate() would leave the emotion out without a word."""
        raise TypeError("use emomodel.generate: the base model's generate() knows no emotion")


@contextmanager
def _only_positions(head: nn.Module, positions: Tensor) -> Iterator[None]:
    """Within, `head` gets of hidden states (B, T, hidden) only the N at `positions` of B * T: (1, N, hidden)."""

    def gather(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0].flatten(0, 1)[positions].unsqueeze(0), *inputs[1:])

    handle = head.register_forward_pre_hook(gather)
    try:
        yield
    finally:
        handle.remove()
