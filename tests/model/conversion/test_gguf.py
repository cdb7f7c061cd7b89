"""A complete conversion of a tiny Gemma 3, whose GGUF file is written here as llama.cpp's converter would write it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3ForCausalLM, Gemma3TextConfig

from emomodel.conversion.folder import (
    REPORT_NAME,
    ConversionWrong,
    FolderOccupied,
    GgufInvalid,
    LossCheck,
    find_conversion,
)
from emomodel.conversion.gguf import convert_gguf
from emomodel.conversion.gguf_tokenizer import BYTE, CONTROL, NORMAL, USER_DEFINED

pytestmark = pytest.mark.model

CHAT_TEMPLATE = "{{ bos_token }}{{ messages[0]['content'] }}"
SLIDING_WINDOW = 8
LAYER_COUNT = 6  # five with a sliding window, then one with full attention
# llama.cpp's names for the parts of a layer.
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "post_feedforward_layernorm": "post_ffw_norm",
}
PIECES = [
    *((name, -1000.0, CONTROL) for name in ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")),
    ("\n", -1000.0, USER_DEFINED),
    *((f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)),
    *((piece, -float(rank), NORMAL) for rank, piece in enumerate(["\u2581a", "an", "\u2581an", "\u2581", *"abcden"])),
]
CONFIG = Gemma3TextConfig(
    vocab_size=len(PIECES),
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=LAYER_COUNT,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=16,
    sliding_window=SLIDING_WINDOW,
    max_position_embeddings=64,
)


@pytest.fixture(scope="module")
def original() -> Gemma3ForCausalLM:
    """Random weights that bfloat16 holds exactly, as float32 does after llama.cpp has added one to the norms."""
    torch.manual_seed(7)
    model = Gemma3ForCausalLM(CONFIG)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((torch.randn_like(parameter) * 16).round() / 64)
    model.train(False)
    return model


def gguf_name(name: str) -> str:
    """The name in a GGUF file of a parameter such as `model.layers.3.mlp.up_proj.weight`."""
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{LAYER_NAMES[part]}.weight"


def write_gguf(path: Path, model: Gemma3ForCausalLM, *, architecture: str = "gemma3") -> None:
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(CONFIG.max_position_embeddings)
    writer.add_embedding_length(CONFIG.hidden_size)
    writer.add_block_count(CONFIG.num_hidden_layers)
    writer.add_feed_forward_length(CONFIG.intermediate_size)
    writer.add_head_count(CONFIG.num_attention_heads)
    writer.add_head_count_kv(CONFIG.num_key_value_heads)
    writer.add_key_length(CONFIG.head_dim)
    writer.add_value_length(CONFIG.head_dim)
    writer.add_layer_norm_rms_eps(CONFIG.rms_norm_eps)
    writer.add_rope_freq_base(1e6)
    writer.add_sliding_window(SLIDING_WINDOW)
    pieces, scores, kinds = zip(*PIECES, strict=True)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([piece.replace("\u2581", " ") for piece in pieces])
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    for add, id_ in ((writer.add_pad_token_id, 0), (writer.add_eos_token_id, 1), (writer.add_bos_token_id, 2)):
        add(id_)
    writer.add_unk_token_id(3)
    for name, parameter in model.named_parameters():
        values = parameter.detach().numpy().astype(np.float32)
        writer.add_tensor(gguf_name(name), values + 1 if "norm" in name else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def source(original: Gemma3ForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path, original)
    return path


@pytest.fixture(scope="module")
def converted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("converted")
    notice = place / "NOTICE.md"
    notice.write_text("Mind the terms.")
    convert_gguf(source, place / "model", chat_template=CHAT_TEMPLATE, notices=[notice])
    return place / "model"


def test_the_converted_model_equals_the_original(original: Gemma3ForCausalLM, converted: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(converted, dtype=torch.float32)
    for name, parameter in original.named_parameters():
        assert torch.equal(model.get_parameter(name), parameter), name
    ids = torch.randint(len(PIECES), (2, 24), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(model(input_ids=ids).logits, original(input_ids=ids).logits)


def test_the_folder_is_an_ordinary_one(converted: Path) -> None:
    assert sorted(path.name for path in converted.iterdir()) == [
        "NOTICE.md",
        "chat_template.jinja",
        "config.json",
        "conversion.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    config = json.loads((converted / "config.json").read_text())
    assert config["architectures"] == ["Gemma3ForCausalLM"]
    assert config["dtype"] == "bfloat16"
    assert "quantization_config" not in config
    generation = json.loads((converted / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [1, 5]
    modes = {path.stat().st_mode for path in converted.iterdir()}
    assert len(modes) == 1


def test_the_tokenizer_merges_by_score(converted: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted)
    assert tokenizer.tokenize("a an\nbé") == ["a", "\u2581an", "\n", "b", "<0xC3>", "<0xA9>"]
    assert tokenizer.apply_chat_template([{"role": "user", "content": "bad"}], tokenize=False) == "<bos>bad"


def test_a_second_call_keeps_the_folder(source: Path, converted: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in converted.iterdir()}
    report = convert_gguf(source, converted, chat_template="another")
    assert report == find_conversion(converted, report.source_sha256)
    assert {path.name: path.stat().st_mtime_ns for path in converted.iterdir()} == before


def test_a_loss_out_of_range_leaves_no_folder(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    check = LossCheck(texts=("a bad den",), minimum=0.0, maximum=0.01)
    with pytest.raises(ConversionWrong, match="nats per token"):
        convert_gguf(source, folder, chat_template=CHAT_TEMPLATE, check=check)
    assert not folder.exists()


def test_a_loss_in_range_is_in_the_report(source: Path, original: Gemma3ForCausalLM, tmp_path: Path) -> None:
    check = LossCheck(texts=("a bad den", "an bean"), minimum=0.0, maximum=1000.0)
    report = convert_gguf(source, tmp_path / "model", chat_template=CHAT_TEMPLATE, check=check)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    total, count = 0.0, 0
    for text in check.texts:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            chances = original(input_ids=ids).logits.log_softmax(-1)[0, :-1]
        total -= chances.gather(1, ids[0, 1:, None]).sum().item()
        count += ids.shape[1] - 1
    assert report.loss == pytest.approx(total / count, abs=1e-3)
    assert json.loads((tmp_path / "model" / REPORT_NAME).read_text())["loss"] == report.loss


def test_another_architecture_is_refused(original: Gemma3ForCausalLM, tmp_path: Path) -> None:
    write_gguf(tmp_path / "other.gguf", original, architecture="llama")
    with pytest.raises(GgufInvalid, match="llama"):
        convert_gguf(tmp_path / "other.gguf", tmp_path / "model", chat_template=CHAT_TEMPLATE)


def test_a_foreign_folder_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FolderOccupied):
        convert_gguf(source, tmp_path, chat_template=CHAT_TEMPLATE)
