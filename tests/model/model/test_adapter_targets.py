"""Which layers get an adapter, by lora_modules, and what is said about the others."""

from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from transformers import (
    Glm4MoeConfig,
    Glm4MoeForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedModel,
)

from emomodel.config import LINEAR_MODULES, LinearModule
from emomodel.errors import ModelLoadFailed
from emomodel.model.adapter_targets import Targets, find_targets
from tests.model.gemma_kinds import SIZES, build, make_gemma3n_for_images, make_gemma4, make_gemma_for_images
from tests.model.other_kinds import make_gpt_oss, make_llama, make_phi3, make_qwen3_5
from tests.support.tiny_gemma import make_tiny_model

pytestmark = pytest.mark.model


def make_glm_moe() -> PreTrainedModel:
    """Make a GLM, which has an MLP for all tokens beside the experts, and one in place of them in the first layer."""
    experts: dict[str, Any] = {
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "n_group": 1,
        "head_dim": 32,
    }
    return build(Glm4MoeForCausalLM, Glm4MoeConfig(**SIZES, **experts, first_k_dense_replace=1))


def list_adapted(model: Any, targets: Targets) -> set[str]:
    lora = LoraConfig(
        task_type="CAUSAL_LM", target_modules=[*targets.names], exclude_modules=targets.excluded, r=8, lora_alpha=8
    )
    peft_model: Any = get_peft_model(model, lora)
    return {name.rpartition(".lora_")[0] for name, _ in peft_model.named_parameters() if ".lora_" in name}


def test_a_text_model_of_ordinary_layers_has_no_gap_and_nothing_to_exclude() -> None:
    for model in (make_tiny_model(end_of_turn_id=6), make_llama()):
        assert find_targets(model, LINEAR_MODULES) == Targets(LINEAR_MODULES, None, None)
        assert find_targets(model, ["v_proj", "q_proj"]) == Targets(("q_proj", "v_proj"), None, None)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["q_proj"], ("qkv_proj",)),
        (["k_proj", "v_proj", "down_proj"], ("qkv_proj", "down_proj")),
        (["up_proj", "o_proj"], ("o_proj", "gate_up_proj")),
    ],
)
def test_a_name_stands_for_the_fused_layer_that_does_it(names: list[LinearModule], expected: tuple[str, ...]) -> None:
    assert find_targets(make_phi3(), names) == Targets(expected, None, None)


def test_the_names_of_attention_stand_for_linear_attention_too() -> None:
    names = ("q_proj", "linear_attn.in_proj_qkv", "o_proj", "linear_attn.out_proj")
    assert find_targets(make_qwen3_5(), ["q_proj", "o_proj"]) == Targets(names, None, None)


@pytest.mark.parametrize(
    ("make_model", "excluded"),
    [
        (make_gemma_for_images, r"(.*\.)?(vision_tower)\..*"),
        (make_gemma3n_for_images, r"(.*\.)?(audio_tower)\..*"),
        (make_gemma4, r"(.*\.)?(audio_tower|vision_tower)\..*"),
    ],
)
def test_the_parts_for_images_and_audio_are_excluded(make_model: Any, excluded: str) -> None:
    model = make_model()
    targets = find_targets(model, LINEAR_MODULES)
    assert (targets.excluded, targets.gap) == (excluded, None)
    assert [path for path in list_adapted(model, targets) if "tower" in path] == []


def test_an_mlp_whose_names_peft_gives_to_the_experts_is_named_as_a_gap() -> None:
    model = make_glm_moe()
    targets = find_targets(model, LINEAR_MODULES)
    assert targets.gap == (
        "The adapter trains q_proj, k_proj, v_proj, o_proj in all 2 layers. Not adapted: mlp.gate_proj, mlp.up_proj, "
        "mlp.down_proj, shared_experts.gate_proj, shared_experts.up_proj, shared_experts.down_proj in 1 of 2 layers, "
        "since PEFT applies these names to the experts. Not adapted: experts.gate_up_proj, experts.down_proj "
        "in 1 of 2 layers, since experts get no adapter."
    )
    assert {path.rpartition(".")[2] for path in list_adapted(model, targets)} == set(targets.names)


def test_layers_with_names_of_their_own_are_named_as_a_gap() -> None:
    targets = find_targets(build(PhiForCausalLM, PhiConfig(**SIZES)), LINEAR_MODULES)
    assert targets.names == ("q_proj", "k_proj", "v_proj")
    assert targets.gap == (
        "The adapter trains q_proj, k_proj, v_proj in all 2 layers. Not adapted: self_attn.dense, mlp.fc1, mlp.fc2 in "
        "all 2 layers, since no name in lora_modules stands for them."
    )


def test_nothing_that_fits_is_an_error_that_says_what_the_model_has() -> None:
    with pytest.raises(ModelLoadFailed) as caught:
        find_targets(make_gpt_oss(), ["gate_proj", "down_proj"])
    assert str(caught.value) == (
        "lora_modules names gate_proj, down_proj, and the base model has no such layer that can get an adapter; it has "
        "self_attn.k_proj, self_attn.o_proj, self_attn.q_proj, self_attn.v_proj. Choose other lora_modules or another "
        "base model"
    )
    gpt2 = build(GPT2LMHeadModel, GPT2Config(vocab_size=1024, n_embd=64, n_layer=2, n_head=2))
    with pytest.raises(ModelLoadFailed, match="it has no linear layers"):
        find_targets(gpt2, LINEAR_MODULES)
