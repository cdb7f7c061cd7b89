"""PerLayerInputs: what Gemma 3n and Gemma 4 (E2B, E4B) look up for each token in addition to its input embedding.

These models have a second table, the per-layer embeddings: a small vector for each token and each decoder layer. The
model looks it up by the token's id, so a caller that passes only input embeddings has to pass these vectors, too. Two
things then reach a decoder layer:

- the hidden stream, which begins with the token's input embedding plus the offset of its emotion;
- its input of this layer, half of which is the token's own vector from the table, that no emotion changes. The other
  half is a projection of the input embeddings by the model itself, and so of the offset, too.
"""

import inspect
from typing import Any

from torch import Tensor, nn

_ARGUMENT = "per_layer_inputs"
# Gemma 3n for text, images and audio takes no such argument, and gives its decoder an empty one. It passes arguments
# that it doesn't know on to the decoder, where the hook below puts this one into its place.
_HANDED_ON = "emotune_per_layer_inputs"


class PerLayerInputs:
    """Looks up the per-layer embeddings of `model`, a causal language model or a PeftModel around one."""

    def __init__(self, model: Any) -> None:
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._decoder: Any = base.get_decoder()
        self._layer_count: int = 0
        if getattr(self._decoder, "hidden_size_per_layer_input", None):
            self._layer_count = self._decoder.config.num_hidden_layers
            self._takes_argument = _ARGUMENT in inspect.signature(base.forward).parameters
            if not self._takes_argument:
                self._decoder.register_forward_pre_hook(_put_in_place, with_kwargs=True)

    def look_up(self, input_ids: Tensor) -> dict[str, Tensor]:
        """The arguments that model or decoder need in addition to the embeddings of `input_ids` (B, T).

        They hold a tensor (B, T, layers, size). A model without per-layer embeddings needs none.
        """
        if not self._layer_count:
            return {}
        vectors = self._decoder.embed_tokens_per_layer(input_ids)
        name = _ARGUMENT if self._takes_argument else _HANDED_ON
        return {name: vectors.reshape(*input_ids.shape, self._layer_count, -1)}


def _put_in_place(
    _decoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if _HANDED_ON in kwargs:
        kwargs[_ARGUMENT] = kwargs.pop(_HANDED_ON)
    return args, kwargs
