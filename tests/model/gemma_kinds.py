"""Tiny Gemmas of the published kinds, with random weights: Gemma 2, Gemma 3 for images, Gemma 3n and Gemma 4."""

from typing import Any

import torch
from transformers import (
    AutoModel,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3nAudioConfig,
    Gemma3nConfig,
    Gemma3nForCausalLM,
    Gemma3nForConditionalGeneration,
    Gemma3nTextConfig,
    Gemma3nVisionConfig,
    Gemma4AudioConfig,
    Gemma4Config,
    Gemma4ForCausalLM,
    Gemma4ForConditionalGeneration,
    Gemma4TextConfig,
    Gemma4VisionConfig,
    PreTrainedModel,
    SiglipVisionConfig,
)

from tests.support.tiny_gemma import VOCAB_SIZE, make_tiny_model

END_OF_TURN_ID = 6
# The sizes of the tiny Gemma.
SIZES: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 2048,
    "initializer_range": 0.125,
    "bos_token_id": 2,
    "eos_token_id": 1,
}
SLIDING_WINDOW = 16
_LAYER_TYPES = ["sliding_attention", "full_attention"]
_GEMMA_SIZES = SIZES | {
    "head_dim": 32,
    "sliding_window": SLIDING_WINDOW,
    "layer_types": _LAYER_TYPES,
    "final_logit_softcapping": 30.0,
    "eos_token_id": [1, END_OF_TURN_ID],
}
# The last two layers use the keys and values of the first two.
_SHARING: dict[str, Any] = {"num_hidden_layers": 4, "layer_types": _LAYER_TYPES * 2, "num_kv_shared_layers": 2}
_SOFT_TOKENS = 8
_PER_LAYER: dict[str, Any] = {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCAB_SIZE}
# The full attention of Gemma 4 has larger heads.
_GEMMA4_SIZES = _GEMMA_SIZES | {"head_dim": 16, "global_head_dim": 32}


def build(model_class: Any, config: Any) -> PreTrainedModel:
    """Make a model with random weights; transformers leaves the constructors untyped."""
    model: PreTrainedModel = model_class(config)
    return model


def make_gemma2() -> PreTrainedModel:
    """Make a Gemma 2, whose attention scores are soft-capped."""
    return build(Gemma2ForCausalLM, Gemma2Config(**_GEMMA_SIZES, query_pre_attn_scalar=32, attn_logit_softcapping=50.0))


def make_gemma_for_images() -> PreTrainedModel:
    """Make a Gemma 3 for text and images. Its text part is the tiny Gemma, with the sizes in text_config."""
    vision = SiglipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    text = make_tiny_model(end_of_turn_id=END_OF_TURN_ID).config
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=1, image_token_index=7)
    return build(Gemma3ForConditionalGeneration, config)


def make_gemma3n() -> PreTrainedModel:
    """Make the text model of a Gemma 3n: per-layer embeddings, shared keys and values, AltUp and LAuReL."""
    model: Any = build(Gemma3nForCausalLM, _make_gemma3n_text())
    return _use_per_layer_inputs(model, model.model)


def _make_gemma3n_text() -> Gemma3nTextConfig:
    sizes = _GEMMA_SIZES | _SHARING | _PER_LAYER
    return Gemma3nTextConfig(
        **sizes, laurel_rank=8, altup_num_inputs=2, activation_sparsity_pattern=[0.5, 0.0, 0.0, 0.0]
    )


def _use_per_layer_inputs(model: PreTrainedModel, decoder: Any) -> PreTrainedModel:
    """Undo the zeros that transformers begins with: they leave the per-layer embeddings without effect."""
    for layer in decoder.layers:
        torch.nn.init.ones_(layer.altup.correct_output_scale)
    return model


class _VisionConfig(Gemma3nVisionConfig):  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    """An empty vision tower, since that of Gemma 3n needs timm."""

    model_type = "tiny_vision"


class _Vision(PreTrainedModel):  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    config_class = _VisionConfig


def make_gemma3n_for_images() -> PreTrainedModel:
    """Make a Gemma 3n for text, images and audio, as the published ones are. It can't be saved and loaded."""
    AutoModel.register(_VisionConfig, _Vision, exist_ok=True)
    audio = Gemma3nAudioConfig(
        hidden_size=32,
        conf_num_attention_heads=2,
        conf_num_hidden_layers=1,
        vocab_offset=VOCAB_SIZE + _SOFT_TOKENS,
        vocab_size=_SOFT_TOKENS,
    )
    vision = _VisionConfig(hidden_size=32, vocab_offset=VOCAB_SIZE, vocab_size=_SOFT_TOKENS)
    config = Gemma3nConfig(text_config=_make_gemma3n_text(), audio_config=audio, vision_config=vision)
    model: Any = build(Gemma3nForConditionalGeneration, config)
    return _use_per_layer_inputs(model, model.model.language_model)


def make_gemma4() -> PreTrainedModel:
    """Make a Gemma 4 like E2B and E4B: text, images and audio, per-layer embeddings, shared keys and values."""
    text = _make_gemma4_text(**_SHARING, **_PER_LAYER, use_double_wide_mlp=True)
    vision = Gemma4VisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        position_embedding_size=64,
    )
    audio = Gemma4AudioConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        output_proj_dims=32,
        subsampling_conv_channels=[8, 4],
    )
    config = Gemma4Config(
        text_config=text,
        vision_config=vision,
        audio_config=audio,
        boi_token_id=8,
        eoi_token_id=9,
        image_token_id=10,
        video_token_id=11,
        boa_token_id=12,
        eoa_token_index=13,
        audio_token_id=14,
    )
    return build(Gemma4ForConditionalGeneration, config)


def make_gemma4_text() -> PreTrainedModel:
    """Make the text part of a Gemma 4 like E2B alone."""
    return build(Gemma4ForCausalLM, _make_gemma4_text(**_SHARING, **_PER_LAYER))


def make_gemma4_dense() -> PreTrainedModel:
    """Make a Gemma 4 like 31B: no per-layer embeddings; on full attention the keys are the values, too."""
    return build(Gemma4ForCausalLM, _make_gemma4_text(**_ALIKE))


def make_gemma4_moe() -> PreTrainedModel:
    """Make a Gemma 4 like 26B-A4B: a mixture of experts beside the MLP of each layer."""
    experts = {"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32}
    return build(Gemma4ForCausalLM, _make_gemma4_text(**_ALIKE, **experts))


# "vision" concerns the tokens of an image only: text is read from left to right.
_ALIKE: dict[str, Any] = {
    "hidden_size_per_layer_input": 0,
    "attention_k_eq_v": True,
    "num_global_key_value_heads": 1,
    "use_bidirectional_attention": "vision",
}


def _make_gemma4_text(**options: Any) -> Gemma4TextConfig:
    return Gemma4TextConfig(**(_GEMMA4_SIZES | options))
