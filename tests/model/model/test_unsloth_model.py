"""The libraries' own code comes back on a model that another library has patched in Unsloth's ways."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peft.tuners.lora.layer
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM

from emomodel.model.unsloth_model import restore_library_code
from tests.model.model_shapes import SHAPES, save_shape

pytestmark = pytest.mark.model

# Unsloth's code stays on mixtures of experts.
KEPT = ("gemma4 moe", "gpt-oss", "qwen3 moe")
IDS = torch.arange(10, 30).unsqueeze(0)


def patched_forward(*_: Any, **__: Any) -> None:
    raise AssertionError("the patched code ran")


patched_forward.__module__ = "unsloth_zoo.temporary_patches"


def patch_class(module: nn.Module, name: str | None = None) -> None:
    """Give the module a class of another module, by default of the same name, as Unsloth's compiler does."""
    content = {"forward": patched_forward, "__module__": "unsloth_compiled_module"}
    module.__class__ = type(name or type(module).__name__, (nn.Module,), content)


@pytest.fixture
def patched_adapters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = peft.tuners.lora.layer.Linear.forward
    monkeypatch.setattr(peft.tuners.lora.layer.Linear, "forward", patched_forward)
    yield
    monkeypatch.setattr(peft.tuners.lora.layer.Linear, "forward", before)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in KEPT])
@pytest.mark.usefixtures("patched_adapters")
def test_a_patched_model_computes_again_what_the_libraries_compute(tmp_path: Path, shape: str) -> None:
    base = save_shape(shape, tmp_path / "base")
    expected = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)(input_ids=IDS).logits
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    get_peft_model(model, LoraConfig(target_modules=r"(?!.*(vision|audio)).*o_proj"))
    layer = model.get_decoder().layers[0]
    patch_class(layer.mlp)
    patch_class(model.get_decoder().norm)
    # Unsloth sets some forwards on the modules themselves.
    (layer.linear_attn if hasattr(layer, "linear_attn") else layer.self_attn).forward = patched_forward
    with pytest.raises(AssertionError, match="the patched code ran"):
        model(input_ids=IDS)
    assert restore_library_code(model)
    assert torch.equal(model(input_ids=IDS).logits, expected)
    assert model.config._attn_implementation == "sdpa"


def test_a_model_with_code_that_has_no_counterpart_stays_as_it_is(tmp_path: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(save_shape("llama", tmp_path / "base"))
    layer = model.get_decoder().layers[0]
    patch_class(layer.mlp, "FusedMlp")
    patch_class(layer.self_attn)
    before = type(layer.self_attn)
    assert not restore_library_code(model)
    assert type(layer.self_attn) is before


@pytest.mark.parametrize("shape", KEPT)
def test_a_mixture_of_experts_stays_as_it_is(tmp_path: Path, shape: str) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(save_shape(shape, tmp_path / "base"))
    norm = model.get_decoder().norm
    patch_class(norm)
    assert not restore_library_code(model)
    assert type(norm).__module__ == "unsloth_compiled_module"
