"""Tiny base models other than Gemma's text models: Llama, Qwen, and Gemma for text and images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen2Tokenizer

from tests.model import gemma_kinds as gemma
from tests.model import other_kinds as others
from tests.model.tiny_training import make_lines
from tests.support.tiny_gemma import VOCAB_SIZE, make_tiny_tokenizer

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


_MAKERS: dict[str, tuple[Callable[[], PreTrainedModel], Callable[[], PreTrainedTokenizerBase]]] = {
    "gemma2": (gemma.make_gemma2, make_tiny_tokenizer),
    "gemma for images": (gemma.make_gemma_for_images, make_tiny_tokenizer),
    "gemma3n": (gemma.make_gemma3n, make_tiny_tokenizer),
    "gemma4": (gemma.make_gemma4, make_tiny_tokenizer),
    "gemma4 dense": (gemma.make_gemma4_dense, make_tiny_tokenizer),
    "gemma4 moe": (gemma.make_gemma4_moe, make_tiny_tokenizer),
    "llama": (others.make_llama, make_tiny_tokenizer),
    "mistral": (others.make_mistral, make_tiny_tokenizer),
    "phi3": (others.make_phi3, make_tiny_tokenizer),
    "qwen2": (others.make_qwen2, make_qwen_tokenizer),
    "qwen3": (others.make_qwen3, make_qwen_tokenizer),
    "qwen3 moe": (others.make_qwen3_moe, make_qwen_tokenizer),
    "qwen3.5": (others.make_qwen3_5, make_qwen_tokenizer),
    "gpt-oss": (others.make_gpt_oss, make_qwen_tokenizer),
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
