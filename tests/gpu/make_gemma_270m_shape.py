"""Writes a base model of Gemma 3 270M's layers with random weights and the tiny model's tokenizer: FOLDER."""

import sys
from pathlib import Path

import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from tests.tiny_gemma import VOCAB_SIZE, make_tiny_tokenizer


def main() -> None:
    folder = Path(sys.argv[1])
    tokenizer = make_tiny_tokenizer()
    end_of_turn_id = tokenizer.convert_tokens_to_ids("<end_of_turn>")
    assert isinstance(end_of_turn_id, int)
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=640,
        intermediate_size=2048,
        num_hidden_layers=18,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=256,
        query_pre_attn_scalar=256,
        sliding_window=512,
        max_position_embeddings=32768,
        eos_token_id=[1, end_of_turn_id],
        dtype="bfloat16",
    )
    torch.set_default_dtype(torch.bfloat16)
    Gemma3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


main()
