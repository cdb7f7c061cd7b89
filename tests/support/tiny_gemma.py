"""A tiny Gemma 3 for tests: the real architecture and chat format, two layers, random weights, under 3 MB.

`python tests/support/tiny_gemma.py FOLDER` writes the same folder every time: model, byte-fallback BPE tokenizer
with Gemma's control tokens and chat template, and a notice file, as the folder of a real base model has one.
"""

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, GemmaTokenizer, PreTrainedTokenizerBase

CHAT_TEMPLATE = Path(__file__).parents[2] / "emomodel" / "conversion" / "gemma_chat_template.jinja"
VOCAB_SIZE = 1024
BASIC_TOKENS = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
TURN_TOKENS = ["<start_of_turn>", "<end_of_turn>"]
CONTROL_TOKENS = BASIC_TOKENS + TURN_TOKENS
BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]
NOTICE = (
    "This tiny model has random weights. It stands in for Gemma in tests, and this notice for the notice of Gemma.\n"
)

# Texts for the BPE trainer: every pairing of these, so that common words become one token and rare ones several.
_OPENINGS = ("I feel", "You are", "We were", "This is", "It was", "She is", "They look", "My friend is", "Today I am")
_FEELINGS = (
    *("happy", "overjoyed", "sad", "tearful", "afraid", "brave", "angry", "calm", "surprised", "curious"),
    *("bored", "disgusted", "trusting", "doubtful", "caring", "indifferent", "hopeful", "wonderful", "terrible"),
)
_REASONS = (
    *("because the concert ended.", "about my exam tomorrow.", "and I do not know why!", "since the letter came."),
    *("when the dog ran to the door.", "that you are here with me.", "after a long walk in the rain?"),
)
_QUESTIONS = (
    "How was the concert?\n\nWhat is 2 + 2? 4. Answer briefly: yes, no, maybe.",
    *("user", "model", "How", "What", "Hello", "Yes", "No", "I"),
    "Tell me about your day, please. Who, where, which, how many: 0123456789",
    "A letter from your mother, a new job, the garden in spring, an old photograph, dinner with friends, a broken cup",
    "Nothing could make me happier than hearing that. What a terrible shame! Please keep calm, take courage and go on.",
    "Leave me alone, such nonsense makes one furious; honestly nobody cares whether it works tomorrow or next month.",
    "Suddenly somebody knocked, thunder rolled above us and every candle went out together: how unexpected!",
    "Children laugh while grandparents remember distant summers beside quiet rivers, silver fish, bread and honey.",
    "Trust grows slowly between careful people, yet doubt spreads quickly through crowded streets before winter.",
    "The quick brown fox jumps over the lazy dog. ABCDEFGHIJKLMNOPQRSTUVWXYZ (and so on); it's \"fine\" - isn't it?",
)


def _texts() -> list[str]:
    chats = [" ".join(parts) for parts in itertools.product(_OPENINGS, _FEELINGS, _REASONS)]
    return [*chats, *_QUESTIONS]


def make_tiny_tokenizer() -> PreTrainedTokenizerBase:
    """Gemma's kind of tokenizer: byte-fallback BPE, spaces as U+2581, <bos> in front, control tokens, chat template."""
    trained = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True))
    trained.normalizer = normalizers.Replace(" ", "▁")
    # Gemma's own merges never cross a space either, although its tokenizer doesn't split words.
    trained.pre_tokenizer = pre_tokenizers.Split("▁", behavior="merged_with_next")
    trained.train_from_iterator(
        _texts(),
        trainers.BpeTrainer(
            vocab_size=VOCAB_SIZE, min_frequency=1, special_tokens=CONTROL_TOKENS + BYTE_TOKENS, show_progress=False
        ),
    )
    return _as_gemma(trained.to_str())


def _as_gemma(serialized: str) -> PreTrainedTokenizerBase:
    model: dict[str, Any] = json.loads(serialized)["model"]
    merges: Any = [tuple(merge) for merge in model["merges"]]
    tokenizer = GemmaTokenizer(
        vocab=model["vocab"],
        merges=merges,
        extra_special_tokens=[AddedToken(token, special=True, normalized=False) for token in TURN_TOKENS],
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", CONTROL_TOKENS.index("<bos>"))]
    )
    tokenizer.chat_template = CHAT_TEMPLATE.read_text(encoding="utf-8")
    return tokenizer


def make_tiny_model(end_of_turn_id: int) -> Gemma3ForCausalLM:
    """Random weights from a fixed seed: one sliding and one full layer, hidden 64, head_dim 32, tied embeddings."""
    config = Gemma3TextConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        query_pre_attn_scalar=32,
        max_position_embeddings=2048,
        sliding_window=16,
        layer_types=["sliding_attention", "full_attention"],
        # Rows of the tied embedding get norm 1: a smaller range would leave the logits too flat to learn anything.
        initializer_range=0.125,
        eos_token_id=[1, end_of_turn_id],
        dtype="float32",
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Gemma3ForCausalLM(config)


def make_tiny_gemma(folder: Path) -> Path:
    """Write the model, its tokenizer and a NOTICE into `folder`, which is made; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tiny_tokenizer()
    end_of_turn_id = tokenizer.convert_tokens_to_ids("<end_of_turn>")
    assert isinstance(end_of_turn_id, int)
    make_tiny_model(end_of_turn_id).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "NOTICE").write_text(NOTICE, encoding="utf-8")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    make_tiny_gemma(parser.parse_args().folder)


if __name__ == "__main__":
    main()
