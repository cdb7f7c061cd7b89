"""A tiny tokenizer in a folder, as a base model has one: Gemma's kind, made without torch and transformers."""

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

CHAT_TEMPLATE = Path(__file__).parents[2] / "emomodel" / "conversion" / "gemma_chat_template.jinja"
NAMED_TOKENS = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
# The last one is a control token that no other model has, so that a dataset with it passes at upload.
TURN_TOKENS = ["<start_of_turn>", "<end_of_turn>", "<tiny>"]
BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]
TEXTS = ["user model How was it? I am happy, I am sad. Yes, it was fine. No, it was terrible today."] * 4


def write_tiny_tokenizer(
    folder: Path, *, turn_tokens: Sequence[str] = TURN_TOKENS, template: str | None = None, strips: bool = False
) -> Path:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja into `folder`; returns it.

    With `strips`, `turn_tokens` take in the spaces and line ends that follow them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))  # noqa: S106  no password
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", behavior="merged_with_next")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    words = [*NAMED_TOKENS.values(), *turn_tokens]
    special_tokens = [
        AddedToken(word, special=True, normalized=False, rstrip=strips and word in turn_tokens) for word in words
    ] + BYTE_TOKENS
    trainer = trainers.BpeTrainer(vocab_size=400, show_progress=False, special_tokens=special_tokens)
    tokenizer.train_from_iterator(TEXTS, trainer)
    # The bytes are ordinary words of the vocabulary, never found in a text as they are written.
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] in words]
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    config = NAMED_TOKENS | {"extra_special_tokens": list(turn_tokens), "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    text = CHAT_TEMPLATE.read_text(encoding="utf-8") if template is None else template
    (folder / "chat_template.jinja").write_text(text, encoding="utf-8")
    return folder
