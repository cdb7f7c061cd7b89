"""The config.json of published base models, reduced to the sizes, and of smaller ones.

Sources: the publishers' config.json files as quoted by other projects' tests (Gemma 4, Qwen3, Llama, Phi), and the
defaults of transformers' config classes (Gemma 3n E4B; gpt-oss-20b: those of the 120B with 24 layers and 32 experts).
"""

from typing import Any

_SIGLIP: dict[str, Any] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 896,
    "patch_size": 14,
    "vision_use_head": False,
}
GEMMA_3_270M: dict[str, Any] = {
    "model_type": "gemma3_text",
    "hidden_size": 640,
    "num_hidden_layers": 18,
    "intermediate_size": 2048,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "vocab_size": 262_144,
    "torch_dtype": "bfloat16",
}
GEMMA_3_1B = GEMMA_3_270M | {"hidden_size": 1152, "num_hidden_layers": 26, "intermediate_size": 6912}
# As Google publishes it: values that are transformers' defaults are left out.
GEMMA_3_4B: dict[str, Any] = {
    "model_type": "gemma3",
    "architectures": ["Gemma3ForConditionalGeneration"],
    "text_config": {
        "model_type": "gemma3_text",
        "hidden_size": 2560,
        "intermediate_size": 10_240,
        "num_hidden_layers": 34,
    },
    "vision_config": _SIGLIP,
    "torch_dtype": "bfloat16",
}
GEMMA_3_27B = GEMMA_3_4B | {
    "text_config": {
        "model_type": "gemma3_text",
        "hidden_size": 5376,
        "intermediate_size": 21_504,
        "num_hidden_layers": 62,
        "num_attention_heads": 32,
        "num_key_value_heads": 16,
        "head_dim": 128,
    }
}
# The defaults of Gemma3nTextConfig are E4B's.
GEMMA_3N_E4B_TEXT: dict[str, Any] = {"model_type": "gemma3n_text"}
GEMMA_3N_AUDIO: dict[str, Any] = {
    "model_type": "gemma3n_audio",
    "hidden_size": 1536,
    "conf_num_hidden_layers": 12,
    "sscp_conv_channel_size": [128, 32],
}
GEMMA_3N_E4B: dict[str, Any] = {
    "model_type": "gemma3n",
    "text_config": GEMMA_3N_E4B_TEXT,
    "vision_config": {"model_type": "gemma3n_vision", "hidden_size": 2048},
    "audio_config": GEMMA_3N_AUDIO,
}

_GEMMA_4_SMALL_VISION: dict[str, Any] = {
    "model_type": "gemma4_vision",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 16,
    "num_attention_heads": 12,
    "num_key_value_heads": 12,
    "head_dim": 64,
    "patch_size": 16,
    "position_embedding_size": 10_240,
}
_GEMMA_4_LARGE_VISION = _GEMMA_4_SMALL_VISION | {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 72,
}
_GEMMA_4_AUDIO: dict[str, Any] = {
    "model_type": "gemma4_audio",
    "hidden_size": 1024,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "subsampling_conv_channels": [128, 32],
    "output_proj_dims": 1536,
}
_GEMMA_4_TEXT: dict[str, Any] = {
    "model_type": "gemma4_text",
    "vocab_size": 262_144,
    "num_attention_heads": 8,
    "head_dim": 256,
    "global_head_dim": 512,
    "tie_word_embeddings": True,
}
GEMMA_4_E2B: dict[str, Any] = {
    "model_type": "gemma4",
    "text_config": _GEMMA_4_TEXT
    | {
        "hidden_size": 1536,
        "intermediate_size": 6144,
        "num_hidden_layers": 35,
        "num_key_value_heads": 1,
        "num_global_key_value_heads": None,
        "num_kv_shared_layers": 20,
        "use_double_wide_mlp": True,
        "hidden_size_per_layer_input": 256,
        "vocab_size_per_layer_input": 262_144,
        "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 7,
    },
    "vision_config": _GEMMA_4_SMALL_VISION,
    "audio_config": _GEMMA_4_AUDIO,
    "tie_word_embeddings": True,
    "dtype": "bfloat16",
}
GEMMA_4_E4B = GEMMA_4_E2B | {
    "text_config": _GEMMA_4_TEXT
    | {
        "hidden_size": 2560,
        "intermediate_size": 10_240,
        "num_hidden_layers": 42,
        "num_key_value_heads": 2,
        "num_kv_shared_layers": 18,
        "hidden_size_per_layer_input": 256,
        "vocab_size_per_layer_input": 262_144,
        "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 7,
    }
}
GEMMA_4_31B: dict[str, Any] = {
    "model_type": "gemma4",
    "text_config": _GEMMA_4_TEXT
    | {
        "hidden_size": 5376,
        "intermediate_size": 21_504,
        "num_hidden_layers": 60,
        "num_attention_heads": 32,
        "num_key_value_heads": 16,
        "num_global_key_value_heads": 4,
        "attention_k_eq_v": True,
        "hidden_size_per_layer_input": 0,
    },
    "vision_config": _GEMMA_4_LARGE_VISION,
    "audio_config": None,
    "tie_word_embeddings": True,
    "dtype": "bfloat16",
}
GEMMA_4_26B_A4B = GEMMA_4_31B | {
    "text_config": _GEMMA_4_TEXT
    | {
        "hidden_size": 2816,
        "intermediate_size": 2112,
        "num_hidden_layers": 30,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "num_global_key_value_heads": 2,
        "attention_k_eq_v": True,
        "hidden_size_per_layer_input": 0,
        "enable_moe_block": True,
        "num_experts": 128,
        "top_k_experts": 8,
        "moe_intermediate_size": 704,
    },
}

LLAMA_3_1_8B: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "intermediate_size": 14_336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
    "tie_word_embeddings": False,
}
MISTRAL_7B = LLAMA_3_1_8B | {"model_type": "mistral", "vocab_size": 32_768}
QWEN_2_5_05B: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": 896,
    "num_hidden_layers": 24,
    "intermediate_size": 4864,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151_936,
    "tie_word_embeddings": True,
}
QWEN_3_4B: dict[str, Any] = {
    "model_type": "qwen3",
    "hidden_size": 2560,
    "num_hidden_layers": 36,
    "intermediate_size": 9728,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151_936,
    "tie_word_embeddings": True,
}
QWEN_3_30B_A3B: dict[str, Any] = {
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "vocab_size": 151_936,
    "tie_word_embeddings": False,
}
# The defaults of Qwen3_5TextConfig, about 9B; not the sizes of a published model as far as known here.
QWEN_3_5: dict[str, Any] = {
    "model_type": "qwen3_5_text",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "intermediate_size": 12_288,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "full_attention_interval": 4,
    "vocab_size": 248_320,
    "tie_word_embeddings": False,
}
PHI_4_MINI: dict[str, Any] = {
    "model_type": "phi3",
    "hidden_size": 3072,
    "num_hidden_layers": 32,
    "intermediate_size": 8192,
    "num_attention_heads": 24,
    "num_key_value_heads": 8,
    "vocab_size": 200_064,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
}
GPT_OSS_20B: dict[str, Any] = {
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "num_hidden_layers": 24,
    "intermediate_size": 2880,
    "num_local_experts": 32,
    "num_experts_per_tok": 4,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 201_088,
    "tie_word_embeddings": False,
}
GEMMA_2_2B: dict[str, Any] = {
    "model_type": "gemma2",
    "hidden_size": 2304,
    "num_hidden_layers": 26,
    "intermediate_size": 9216,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "vocab_size": 256_000,
}
