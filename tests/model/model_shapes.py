"""Tiny base models other than Gemma's text models: Llama, Qwen, and Gemma for text and images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    SiglipVisionConfig,
)

from tests.model.tiny_training import make_lines
from tests.support.tiny_gemma import VOCAB_SIZE, make_tiny_model, make_tiny_tokenizer

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
# High, constant rates: with any random weights all four learn the few sentences.
SHAPE_CONFIG: dict[str, Any] = {"epochs": 16, "lora_learning_rate": 0.004, "emotion_learning_rate": 0.01}
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def make_qwen_tokenizer() -> PreTrainedTokenizerBase:
    """Make a tokenizer of Qwen's kind: byte-level BPE, ChatML, and no token at the start of a text."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = ByteLevel(add_prefix_space=False)
    texts = [message["content"] for line in make_lines() for message in line["messages"]]
    trainer = BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=CHATML_TOKENS,
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    model = json.loads(trained.to_str())["model"]
    merges: Any = [tuple(merge) for merge in model["merges"]]
    tokenizer = Qwen2Tokenizer(vocab=model["vocab"], merges=merges, extra_special_tokens=CHATML_TOKENS[1:])
    tokenizer.eos_token = CHATML_TOKENS[2]
    tokenizer.chat_template = CHATML
    return tokenizer


def make_llama() -> PreTrainedModel:
    """Make a Llama, whose head is not tied to its embedding."""
    return _make(LlamaForCausalLM, LlamaConfig(**SIZES, tie_word_embeddings=False))


def make_qwen2() -> PreTrainedModel:
    """Make a Qwen 2, whose attention has biases."""
    return _make(Qwen2ForCausalLM, Qwen2Config(**SIZES, tie_word_embeddings=True))


def make_qwen3() -> PreTrainedModel:
    """Make a Qwen 3, whose attention heads have norms and are larger than hidden size / head count."""
    return _make(Qwen3ForCausalLM, Qwen3Config(**SIZES, head_dim=64, tie_word_embeddings=True))


def make_gemma_for_images() -> PreTrainedModel:
    """Make a Gemma for text and images. Its text part is the tiny Gemma, with the sizes in text_config."""
    vision = SiglipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    text = make_tiny_model(end_of_turn_id=6).config
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=1, image_token_index=7)
    return _make(Gemma3ForConditionalGeneration, config)


def _make(model_class: Any, config: PreTrainedConfig) -> PreTrainedModel:
    # transformers leaves the constructors untyped.
    model: PreTrainedModel = model_class(config)
    return model


_MAKERS: dict[str, tuple[Callable[[], PreTrainedModel], Callable[[], PreTrainedTokenizerBase]]] = {
    "llama": (make_llama, make_tiny_tokenizer),
    "qwen2": (make_qwen2, make_qwen_tokenizer),
    "qwen3": (make_qwen3, make_qwen_tokenizer),
    "gemma for images": (make_gemma_for_images, make_tiny_tokenizer),
}

SHAPES = tuple(_MAKERS)


def save_shape(name: str, folder: Path) -> Path:
    """Write a base model of a shape, with random weights from a fixed seed; returns the folder."""
    make_model, make_tokenizer = _MAKERS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        make_model().save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder
