"""Writes a base model of Gemma 3's layers with random weights and the tests' small tokenizer, without a hub.

    python -m scripts.make_gemma_shape FOLDER --shape 1b [--vocabulary 262144] [--layers 4]

Speed and memory are those of the real model; what it writes is noise. It is made on the GPU where there is one.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from tests.support.tiny_gemma import VOCAB_SIZE, make_tiny_tokenizer

SHAPES: dict[str, dict[str, Any]] = {
    "270m": {"hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18},
    "1b": {"hidden_size": 1152, "intermediate_size": 6912, "num_hidden_layers": 26},
}


def make_gemma_shape(folder: Path, shape: str, *, vocabulary: int = VOCAB_SIZE, layers: int | None = None) -> None:
    """Write the model. `vocabulary` may be larger than the tokenizer's, and `layers` fewer than the shape's."""
    tokenizer = make_tiny_tokenizer()
    config = Gemma3TextConfig(
        **(SHAPES[shape] | ({} if layers is None else {"num_hidden_layers": layers})),
        vocab_size=vocabulary,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=256,
        query_pre_attn_scalar=256,
        sliding_window=512,
        max_position_embeddings=32768,
        eos_token_id=[1, tokenizer.convert_tokens_to_ids("<end_of_turn>")],
        dtype="bfloat16",
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        Gemma3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--vocabulary", type=int, default=VOCAB_SIZE)
    parser.add_argument("--layers", type=int)
    options = parser.parse_args()
    make_gemma_shape(options.folder, options.shape, vocabulary=options.vocabulary, layers=options.layers)


if __name__ == "__main__":
    main()
