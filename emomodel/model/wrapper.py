"""EmotionalGemmaUnslothWrapper: a base model that takes an emotion vector with each token.

`emotion_proj_embed` maps the emotion vector to the hidden size; the result is added to the token's input embedding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import CausalLMOutputWithPast

from emomodel.batches.collator import shift_labels
from emomodel.model.head_loss import frozen_head_loss
from emomodel.model.per_layer_inputs import PerLayerInputs
from emomodel.samples.dataset import IGNORED_LABEL


class EmotionalGemmaUnslothWrapper(nn.Module):
    """Holds the base model as `model` and the emotion projection as `emotion_proj_embed`.

    Attributes that the wrapper lacks are looked up on the base model, so that PEFT and the Trainer find what they need.
    In the shapes below B is the number of texts in a batch and T that of tokens in each.
    """

    # The Trainer reads these: the input that has one entry per token, and that forward() takes num_items_in_batch.
    main_input_name = "input_ids"
    accepts_loss_kwargs = True

    model: Any
    emotion_proj_embed: nn.Sequential

    def __init__(self, model: nn.Module, projection: nn.Sequential, *, scale: float, centered: bool) -> None:
        """Wrap a causal language model of transformers, or a PeftModel around one.

        `projection` is float32, (..., axes) -> (..., hidden). The offset of an emotion e is `scale` * projection(e), or
        with `centered` `scale` * (projection(e) - projection(0)), so that the neutral emotion has no offset.
        """
        super().__init__()
        self.model = model
        self.emotion_proj_embed = projection
        self.emotion_scale = scale
        self.emotion_centered = centered
        self._per_layer_inputs = PerLayerInputs(model)
        # Whether the loss is computed without the head of the base model, and whether by compiled code; set by
        # training/acceleration.py.
        self.has_fused_head = False
        self.compiles_head = False

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
        target_positions: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the base model's output for `input_ids` (B, T) int64 under `emotion_vector` (B, T, axes).

        `attention_mask` is (B, T) or wider by the tokens in a cache. Without `emotion_vector` every token is neutral.
        `inputs_embeds` (B, T, hidden) replaces their embeddings: the output of the base model's embedding layer,
        without an emotion. A base model with per-layer embeddings needs `input_ids` beside it. `kwargs` are passed to
        the base model, such as position_ids, past_key_values and num_items_in_batch.

        With `labels` (B, T) int64, not shifted, the output has a `loss` in nats: the mean over the labels other than
        IGNORED_LABEL, or their sum divided by `num_items_in_batch`. `target_positions` (N,) int64 are indices into the
        flattened batch: the positions whose next token is a label, padded with the last position, which predicts
        nothing. With them the head is applied at these positions only, and the output has no logits.
        """
        given = {name: value for name, value in kwargs.items() if value is not None}
        if input_ids is not None:
            given |= self._per_layer_inputs.look_up(input_ids)
        if inputs_embeds is None:
            # Gemma's embedding layer scales its output by sqrt(hidden); the offset is added after that.
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if self.training:
            given["use_cache"] = False
        given |= {"attention_mask": attention_mask, "inputs_embeds": self._add_offset(inputs_embeds, emotion_vector)}
        if labels is None:
            return self.model(**given)
        if target_positions is not None:
            targets = shift_labels(labels).flatten()[target_positions]
            if self.has_fused_head:
                return self._fused_loss(targets, target_positions, given)
            # The base model shifts labels by one: the first is not used, and the last position predicts nothing.
            labels = nn.functional.pad(targets, (1, 0), value=IGNORED_LABEL).unsqueeze(0)
            positions = nn.functional.pad(target_positions, (0, 1))
            with _only_positions(self.model.get_decoder(), positions):
                return CausalLMOutputWithPast(loss=self.model(labels=labels, **given).loss)
        return self.model(labels=labels, **given)

    def hidden_states(self, input_ids: Tensor, emotion_vector: Tensor, **kwargs: Any) -> Tensor:
        """The decoder's output, which the head takes, for `input_ids` under `emotion_vector`: (B, T, hidden)."""
        embeds = self._add_offset(self.get_input_embeddings()(input_ids), emotion_vector)
        given = kwargs | self._per_layer_inputs.look_up(input_ids)
        hidden: Tensor = self.model.get_decoder()(inputs_embeds=embeds, use_cache=False, **given).last_hidden_state
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """The logits for hidden states (N, hidden), soft-capped as the base model's are: (N, vocabulary)."""
        logits: Tensor = self.model.get_output_embeddings()(hidden)
        softcap = self._find_softcap()
        return logits if softcap is None else softcap * torch.tanh(logits / softcap)

    def _find_softcap(self) -> float | None:
        config: Any = self.model.config
        softcap: float | None = getattr(config.get_text_config(), "final_logit_softcapping", None)
        return softcap

    def _fused_loss(self, targets: Tensor, positions: Tensor, given: dict[str, Any]) -> CausalLMOutputWithPast:
        """The loss at `positions` (N,) of `targets` (N,), with the head applied in chunks by frozen_head_loss."""
        item_count = given.pop("num_items_in_batch", None)
        hidden = self.model.get_decoder()(**given).last_hidden_state.flatten(0, 1)[positions]
        total = frozen_head_loss(
            hidden, self.get_head_weight(), targets, softcap=self._find_softcap(), compiled=self.compiles_head
        )
        if item_count is None:
            item_count = (targets != IGNORED_LABEL).sum()
        return CausalLMOutputWithPast(loss=total / item_count)

    def offset(self, emotion_vector: Tensor) -> Tensor:
        """What an emotion (..., axes) adds to the input embedding of a token: (..., hidden) float32."""
        # Autocast would run the projection in 16 bits, which can't tell close intensities apart.
        with torch.autocast(emotion_vector.device.type, enabled=False):
            emotion = emotion_vector.float()
            offset = self.emotion_proj_embed(emotion)
            if self.emotion_centered:
                neutral = self.emotion_proj_embed(torch.zeros(emotion.shape[-1], device=emotion.device))
                # This makes the offset of neutral exactly 0, which the difference of two roundings may not be, and lets
                # no gradient of neutral tokens pass, which is NaN for Gemma 3n's padding: it takes the root of the
                # embedding's mean square, and transformers initialises that token's embedding with zeros.
                offset = (offset - neutral).where(emotion.any(dim=-1, keepdim=True), 0)
            scaled: Tensor = self.emotion_scale * offset
            return scaled

    def _add_offset(self, embeds: Tensor, emotion_vector: Tensor | None) -> Tensor:
        if emotion_vector is None:
            emotion_vector = torch.zeros(*embeds.shape[:-1], self.axis_count, device=embeds.device)
        return (embeds.float() + self.offset(emotion_vector)).to(embeds.dtype)

    @property
    def axis_count(self) -> int:
        """The number of axes of an emotion vector."""
        first: Any = self.emotion_proj_embed[0]
        count: int = first.in_features
        return count

    def get_input_embeddings(self) -> nn.Module:
        embeddings: nn.Module = self.model.get_input_embeddings()
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module | None:
        embeddings: nn.Module | None = self.model.get_output_embeddings()
        return embeddings

    def get_head_weight(self) -> Tensor:
        """The weight of the base model's head: (vocabulary, hidden)."""
        weight: Tensor = self.model.get_output_embeddings().weight
        return weight

    def gradient_checkpointing_enable(self, **kwargs: Any) -> None:
        self.model.gradient_checkpointing_enable(**kwargs)

    def gradient_checkpointing_disable(self) -> None:
        self.model.gradient_checkpointing_disable()

    def prepare_inputs_for_generation(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The method of the base model, which PEFT requires of a causal model that it wraps."""
        inputs: dict[str, Any] = self.model.prepare_inputs_for_generation(*args, **kwargs)
        return inputs

    def generate(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raise TypeError: the base model's generate() would silently leave the emotion out."""
        raise TypeError("use emomodel.generate: the base model's generate() knows no emotion")


@contextmanager
def _only_positions(decoder: nn.Module, positions: Tensor) -> Iterator[None]:
    """Make `decoder` return only the hidden states at `positions` (N,), indices into B * T: (1, N, hidden)."""

    def gather(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state.flatten(0, 1)[positions].unsqueeze(0)
        return output

    handle = decoder.register_forward_hook(gather)
    try:
        yield
    finally:
        handle.remove()
