"""Tiny models of other makers, with random weights: Llama, Mistral, Phi, Qwen and gpt-oss."""

from typing import Any

from transformers import (
    GptOssConfig,
    GptOssForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3_5ForCausalLM,
    Qwen3_5TextConfig,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from tests.model.gemma_kinds import SIZES, SLIDING_WINDOW, build

_EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "head_dim": 32}


def make_llama() -> PreTrainedModel:
    """Make a Llama, whose head is not tied to its embedding."""
    return build(LlamaForCausalLM, LlamaConfig(**SIZES, tie_word_embeddings=False))


def make_mistral() -> PreTrainedModel:
    """Make a Mistral with a sliding window in every layer."""
    return build(MistralForCausalLM, MistralConfig(**SIZES, sliding_window=SLIDING_WINDOW, head_dim=32))


def make_phi3() -> PreTrainedModel:
    """Make a Phi 3, where one layer computes queries, keys and values, and one the MLP's gate and up."""
    return build(Phi3ForCausalLM, Phi3Config(**SIZES, pad_token_id=0, sliding_window=SLIDING_WINDOW))


def make_qwen2() -> PreTrainedModel:
    """Make a Qwen 2, whose attention has biases."""
    return build(Qwen2ForCausalLM, Qwen2Config(**SIZES, tie_word_embeddings=True))


def make_qwen3() -> PreTrainedModel:
    """Make a Qwen 3, whose attention heads have norms and are larger than hidden size / head count."""
    return build(Qwen3ForCausalLM, Qwen3Config(**SIZES, head_dim=64, tie_word_embeddings=True))


def make_qwen3_moe() -> PreTrainedModel:
    """Make a Qwen 3 with a mixture of experts in place of each MLP."""
    config = Qwen3MoeConfig(**SIZES, **_EXPERTS, num_experts=4, moe_intermediate_size=64, tie_word_embeddings=True)
    return build(Qwen3MoeForCausalLM, config)


def make_qwen3_5() -> PreTrainedModel:
    """Make a Qwen 3.5, one of whose layers has linear attention, which keeps a state from token to token."""
    config = Qwen3_5TextConfig(
        **SIZES,
        head_dim=32,
        layer_types=["linear_attention", "full_attention"],
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        tie_word_embeddings=True,
    )
    return build(Qwen3_5ForCausalLM, config)


def make_gpt_oss() -> PreTrainedModel:
    """Make a gpt-oss: experts in place of each MLP, attention sinks, and YaRN's positions."""
    config = GptOssConfig(
        **SIZES,
        **_EXPERTS,
        num_local_experts=4,
        sliding_window=SLIDING_WINDOW,
        layer_types=["sliding_attention", "full_attention"],
        tie_word_embeddings=True,
    )
    return build(GptOssForCausalLM, config)
