"""convert_gguf: a Gemma 3 in one GGUF file becomes a normal, checked Hugging Face folder with a correct tokenizer.

The weights are read by transformers. The tokenizer that transformers makes of a GGUF file splits text differently and
has no <bos>, so it is rebuilt here (gguf_tokenizer). This is meant for the small text models (270M, 1B): a GGUF file
doesn't hold the attention scale of the larger ones. docs/decisions/0005-sample-model-from-packages.md has the reasons.
"""

import hashlib
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, Gemma3ForCausalLM, Gemma3TextConfig, GenerationConfig

from emomodel.conversion.folder import (
    CONVERTER_VERSION,
    REPORT_NAME,
    ConversionReport,
    ConversionWrong,
    GgufInvalid,
    LossCheck,
    building,
    exclusive,
    find_conversion,
    measure_files,
)
from emomodel.conversion.gguf_file import GgufHeader, copy_gguf, read_gguf_header
from emomodel.conversion.gguf_tokenizer import (
    KINDS_KEY,
    PIECES_KEY,
    SCORES_KEY,
    Vocabulary,
    vocabulary_from_gguf,
    write_tokenizer,
)

_ARCHITECTURE_KEY = "general.architecture"
_ARCHITECTURE = "gemma3"
_TIED_HEAD = "lm_head.weight"
_PACKAGES = ("gguf", "safetensors", "tokenizers", "torch", "transformers")
# Keys that transformers writes into the config of a model from GGUF, and that are wrong for the folder.
_STALE_CONFIG = {
    "quantization_config",
    "_name_or_path",
    "_model_name_or_path",
    "unk_token_id",
    "transformers_version",
    "architectures",
    "dtype",
}
# What a wrong decoder loses: letters, digits, runs of spaces, tabs and newlines, characters that need byte tokens.
_ROUND_TRIP_TEXT = "Grüße, 世界 — 12345  two   spaces,\ttab,\n\n\nnewlines; \U0001f9ff\U000130b8 end. "


def convert_gguf(
    gguf_path: Path,
    folder: Path,
    *,
    chat_template: str,
    notices: Sequence[Path] = (),
    check: LossCheck | None = None,
) -> ConversionReport:
    """Make `folder` a Hugging Face folder of the Gemma 3 in `gguf_path`: bf16 weights, config, tokenizer, notices.

    The folder appears when it is complete, and one that already holds this conversion is kept. Concurrent callers wait
    for each other. `notices` are copied into the folder. Raises ConversionError, and OSError when the disk fails.
    """
    with exclusive(folder):
        return convert_locked(gguf_path, folder, chat_template=chat_template, notices=notices, check=check)


def convert_locked(
    gguf_path: Path,
    folder: Path,
    *,
    chat_template: str,
    notices: Sequence[Path] = (),
    check: LossCheck | None = None,
) -> ConversionReport:
    """Do what convert_gguf does, for a caller who holds `exclusive(folder)` already."""
    started = time.monotonic()
    with gguf_path.open("rb") as file:
        source_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    finished = find_conversion(folder, source_sha256)
    if finished is not None:
        return finished
    header = read_gguf_header(gguf_path)
    if header.values.get(_ARCHITECTURE_KEY) != _ARCHITECTURE:
        raise GgufInvalid(f"{gguf_path.name} holds {header.values.get(_ARCHITECTURE_KEY)!r}, not {_ARCHITECTURE!r}")
    vocabulary = vocabulary_from_gguf(header.values)
    with building(folder) as fresh:
        config = _write_model(gguf_path, header, vocabulary, fresh)
        write_tokenizer(fresh, vocabulary, chat_template=chat_template, max_tokens=config.max_position_embeddings)
        for notice in notices:
            (fresh / notice.name).write_bytes(notice.read_bytes())
        loss = _check_folder(fresh, vocabulary, check)
        report = ConversionReport(
            converter_version=CONVERTER_VERSION,
            source_name=gguf_path.name,
            source_sha256=source_sha256,
            loss=loss,
            versions={name: version(name) for name in _PACKAGES},
            seconds=round(time.monotonic() - started, 1),
            file_bytes=measure_files(fresh),
        )
        (fresh / REPORT_NAME).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return report


def _write_model(gguf_path: Path, header: GgufHeader, vocabulary: Vocabulary, fresh: Path) -> Gemma3TextConfig:
    """Write weights, config and generation config into the folder. Raises GgufInvalid."""
    # transformers spends 20 s and a gigabyte on the vocabulary, only to count it, so it gets the count instead.
    weights_path = fresh.parent / "weights.gguf"
    numbers = {f"{_ARCHITECTURE}.vocab_size": len(vocabulary.pieces)}
    copy_gguf(gguf_path, weights_path, header, without=(PIECES_KEY, SCORES_KEY, KINDS_KEY), numbers=numbers)
    try:
        model = Gemma3ForCausalLM.from_pretrained(
            fresh.parent, gguf_file=weights_path.name, dtype=torch.bfloat16, local_files_only=True
        )
    except (ValueError, KeyError, RuntimeError) as error:
        raise GgufInvalid(f"transformers can't read the weights of {gguf_path.name}: {error}") from error
    finally:
        weights_path.unlink()
    stated = {key: value for key, value in model.config.to_dict().items() if key not in _STALE_CONFIG}
    config = Gemma3TextConfig(**stated, architectures=["Gemma3ForCausalLM"], dtype=torch.bfloat16)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        del tensors[_TIED_HEAD]  # shares the memory of the embedding; loading ties it again
    config.save_pretrained(fresh)
    weights = fresh / "model.safetensors"
    save_file(tensors, weights, metadata={"format": "pt"})
    weights.chmod((fresh / "config.json").stat().st_mode)  # safetensors makes files that only their owner can read
    GenerationConfig(  # type: ignore[no-untyped-call]  # transformers leaves its constructor untyped
        bos_token_id=vocabulary.bos_id, eos_token_id=vocabulary.end_ids, pad_token_id=vocabulary.pad_id
    ).save_pretrained(fresh)
    return config


def _check_folder(folder: Path, vocabulary: Vocabulary, check: LossCheck | None) -> float | None:
    """Load the folder as its users will, and return the mean loss per token in nats, if a check is given.

    Raises ConversionWrong.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ids = tokenizer(_ROUND_TRIP_TEXT)["input_ids"]
    if ids[0] != vocabulary.bos_id or ids.count(vocabulary.bos_id) != 1:
        raise ConversionWrong("the tokenizer doesn't put one <bos> in front of a text")
    if tokenizer.decode(ids[1:]) != _ROUND_TRIP_TEXT:
        raise ConversionWrong(f"the tokenizer doesn't decode a text to itself: {tokenizer.decode(ids[1:])!r}")
    # With output_loading_info it returns a pair, which its annotation leaves out.
    loaded: Any = Gemma3ForCausalLM.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
    )
    model, info = loaded
    wrong = {kind: sorted(map(str, names)) for kind, names in info.items() if names}
    if wrong:
        raise ConversionWrong(f"the saved weights don't fit the model: {wrong}")
    if check is None:
        return None
    loss = _mean_loss(model, tokenizer, check.texts)
    if not check.minimum <= loss <= check.maximum:
        raise ConversionWrong(
            f"the converted model's loss is {loss:.3f} nats per token on known sentences; it should be"
            f" from {check.minimum} to {check.maximum}"
        )
    return round(loss, 4)


def _mean_loss(model: Gemma3ForCausalLM, tokenizer: Any, texts: Sequence[str]) -> float:
    """The mean negative log likelihood per token over all texts, each taken by itself, in nats."""
    total, count = 0.0, 0
    with torch.inference_mode():
        for text in texts:
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            predicted = ids.shape[1] - 1
            total += model(input_ids=ids, labels=ids).loss.item() * predicted
            count += predicted
    return total / count
