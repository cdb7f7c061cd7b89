"""Loading a base model from a folder or by a hub id: each refusal says what to do."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    PreTrainedConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from emomodel.errors import ModelLoadFailed
from emomodel.model.backend import import_backend
from emomodel.model.loading import LoadedBaseModel, load_base_model
from emomodel.protocol.control import RunRequests
from emomodel.training.train import run_training
from tests.model.tiny_training import ListReporter, make_request
from tests.support.tiny_gemma import VOCAB_SIZE

pytestmark = pytest.mark.model


def load(name_or_path: Path | str, *, dtype: str = "float32", max_length: int = 64) -> LoadedBaseModel:
    return load_base_model(str(name_or_path), backend="auto", dtype=dtype, load_in_4bit=None, max_length=max_length)


def test_unsloth_that_is_not_installed_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "unsloth", None)
    with pytest.raises(ModelLoadFailed, match=r"Unsloth is not installed .* pip install 'emotune\[gpu\]'"):
        import_backend("unsloth")


@pytest.fixture
def folder(tmp_path: Path, tiny_gemma: Path) -> Path:
    """A copy of the tiny Gemma, which a test may damage."""
    return shutil.copytree(tiny_gemma, tmp_path / "base")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behave as on a machine without network, where HF_HUB_OFFLINE is set."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def _remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _remove_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def _name_an_unknown_architecture(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "no_such_model"}))


def _look_both_ways(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"use_bidirectional_attention": True}))


def _save(model_class: Any, config: PreTrainedConfig, folder: Path) -> None:
    """Replace the model in the folder and keep the tokenizer."""
    model_class(config).save_pretrained(folder)


def _put_an_encoder(folder: Path) -> None:
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    _save(BertForMaskedLM, BertConfig(vocab_size=VOCAB_SIZE, **sizes), folder)


def _put_an_encoder_with_decoder(folder: Path) -> None:
    sizes: dict[str, Any] = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_heads": 2}
    _save(T5ForConditionalGeneration, T5Config(vocab_size=VOCAB_SIZE, **sizes), folder)


def _remove_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


def _remove_vocabulary(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def _put_a_model_with_another_kind_of_tokenizer(folder: Path) -> None:
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    _save(Qwen2ForCausalLM, Qwen2Config(vocab_size=VOCAB_SIZE, **sizes), folder)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_remove_weights, r"holds no weights \(model\.safetensors\); copy all files of the model there"),
        (_cut_weights, "a weights file .* is damaged; copy it again"),
        (_remove_config, r"holds no config\.json; give the folder that a model was saved to"),
        (_break_config, r"can't use the config\.json of .* not a valid JSON file"),
        (_name_an_unknown_architecture, "`no_such_model` but Transformers does not recognize"),
        (_look_both_ways, "no causal language model; take one that writes text from left to right"),
        (_put_an_encoder, r"\(bert\) is no causal language model; take one that writes text from left to right"),
        (_put_an_encoder_with_decoder, r"\(t5\) is no causal language model; take one that writes text"),
        (_remove_tokenizer, r"holds no tokenizer that fits it; put the model's own tokenizer\.json there"),
        (_remove_vocabulary, r"holds no tokenizer that fits it; put the model's own tokenizer\.json there"),
        (_put_a_model_with_another_kind_of_tokenizer, r"holds no tokenizer that fits it; put the model's own"),
    ],
)
def test_a_folder_that_is_no_complete_causal_model_is_refused(
    folder: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(folder)
    with pytest.raises(ModelLoadFailed, match=words):
        load(folder)


def test_a_base_model_without_chat_template_is_refused_before_it_trains(folder: Path, tmp_path: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    request = make_request(tmp_path / "job", folder)
    with pytest.raises(ModelLoadFailed, match="no chat template; use an instruction-tuned base model"):
        run_training(request, ListReporter(), RunRequests())


def test_a_file_in_the_place_of_a_folder_is_reported_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    for name in ("model.gguf", str(tmp_path / "model.gguf")):
        with pytest.raises(ModelLoadFailed, match=r"model\.gguf is a file; give the folder"):
            load(name)


@pytest.mark.usefixtures("offline")
def test_without_network_the_error_for_a_hub_id_asks_for_a_folder() -> None:
    with pytest.raises(
        ModelLoadFailed, match=r"can't get the base model owner/name from the model hub: .* Give the folder"
    ):
        load("owner/name")


@pytest.mark.usefixtures("offline")
def test_a_folder_comes_before_a_hub_id_of_the_same_name(
    tmp_path: Path, tiny_gemma: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_gemma, tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    assert load("owner/name").hidden_size == 64


def test_longer_texts_than_the_model_has_positions_for_are_refused(tiny_gemma: Path) -> None:
    assert load(tiny_gemma, max_length=2048).hidden_size == 64
    with pytest.raises(ModelLoadFailed, match="takes texts of 2048 tokens; set max_length to that or less"):
        load(tiny_gemma, max_length=2049)


@pytest.mark.parametrize(
    ("dtype", "loaded"), [("auto", torch.bfloat16), ("bfloat16", torch.bfloat16), ("float32", torch.float32)]
)
def test_the_model_has_the_dtype_asked_for_whatever_its_files_have(
    tiny_gemma: Path, dtype: str, loaded: torch.dtype
) -> None:
    assert {parameter.dtype for parameter in load(tiny_gemma, dtype=dtype).model.parameters()} == {loaded}


def test_a_tokenizer_without_padding_pads_with_the_end_and_at_the_right(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = None
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(folder)
    loaded = load(folder).tokenizer
    assert (loaded.pad_token, loaded.padding_side) == (loaded.eos_token, "right")
