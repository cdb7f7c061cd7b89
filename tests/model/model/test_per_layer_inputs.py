"""Gemma 3n and Gemma 4 E2B/E4B: each token keeps its own per-layer embedding under every emotion."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from emomodel.batches.collator import find_target_positions
from emomodel.model.adapter_targets import find_targets
from emomodel.model.projection import make_projection
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from tests.model.gemma_kinds import make_gemma3n, make_gemma3n_for_images, make_gemma4, make_gemma4_text

pytestmark = pytest.mark.model

AXES = 8


@pytest.fixture(
    scope="module",
    params=[make_gemma3n, make_gemma3n_for_images, make_gemma4, make_gemma4_text],
    ids=["gemma3n-text", "gemma3n", "gemma4", "gemma4-text"],
)
def base(request: pytest.FixtureRequest) -> Any:
    make: Callable[[], Any] = request.param
    torch.manual_seed(0)
    return make().eval()


@pytest.fixture
def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(20, 900, (2, 12), generator=generator)
    labels = ids.clone()
    labels[:, :5] = -100
    emotion = torch.rand(2, 12, AXES, generator=generator) * 2 - 1
    return {"input_ids": ids, "labels": labels, "emotion_vector": emotion}


def wrap(base: Any) -> EmotionalGemmaUnslothWrapper:
    torch.manual_seed(1)
    return EmotionalGemmaUnslothWrapper(base, make_projection(AXES, 64, "default"), scale=1.0, centered=True).eval()


def test_neutral_is_exactly_the_base_model(base: Any, batch: dict[str, Tensor]) -> None:
    ids = batch["input_ids"]
    expected = base(input_ids=ids).logits
    assert torch.equal(wrap(base)(input_ids=ids).logits, expected)
    # The per-layer embeddings count: other tokens' give other logits.
    table = base.get_decoder().embed_tokens_per_layer
    with torch.no_grad():
        before = table.weight.clone()
        table.weight.copy_(table.weight.roll(1, 0))
        other = base(input_ids=ids).logits
        table.weight.copy_(before)
    assert (other - expected).abs().max() > 0.1


def test_the_emotion_reaches_the_hidden_stream_and_leaves_the_tokens_own_inputs(
    base: Any, batch: dict[str, Tensor]
) -> None:
    decoder = base.get_decoder()
    given: list[dict[str, Any]] = []
    handle = decoder.register_forward_pre_hook(lambda *call: given.append(call[2]), with_kwargs=True)
    wrapper = wrap(base)
    wrapper(input_ids=batch["input_ids"], emotion_vector=batch["emotion_vector"])
    handle.remove()
    embeds = base.get_input_embeddings()(batch["input_ids"])
    torch.testing.assert_close(given[0]["inputs_embeds"], embeds + wrapper.offset(batch["emotion_vector"]))
    own = decoder.embed_tokens_per_layer(batch["input_ids"]).reshape(2, 12, 4, 8)
    assert torch.equal(given[0]["per_layer_inputs"], own)


def test_every_way_to_the_loss_gives_the_same(base: Any, batch: dict[str, Tensor]) -> None:
    wrapper = wrap(base).train()
    positions = find_target_positions(batch["labels"])
    full = wrapper(**batch)
    part = wrapper(**batch, target_positions=positions).loss
    wrapper.has_fused_head = True
    fused = wrapper(**batch, target_positions=positions).loss
    torch.testing.assert_close(part, full.loss)
    torch.testing.assert_close(fused, full.loss)
    hidden = wrapper.hidden_states(batch["input_ids"], batch["emotion_vector"])
    torch.testing.assert_close(wrapper.logits(hidden), full.logits)


def test_embeddings_may_be_given_beside_the_tokens(base: Any, batch: dict[str, Tensor]) -> None:
    ids, emotion = batch["input_ids"], batch["emotion_vector"]
    embeds = base.get_input_embeddings()(ids)
    given = wrap(base)(input_ids=ids, inputs_embeds=embeds, emotion_vector=emotion).logits
    assert torch.equal(given, wrap(base)(input_ids=ids, emotion_vector=emotion).logits)


@pytest.mark.parametrize("is_around", [True, False])
def test_an_adapter_may_be_around_the_wrapper_or_inside_it(
    base: Any, batch: dict[str, Tensor], is_around: bool
) -> None:
    """In a training PEFT is around the wrapper, in a loaded bundle inside it."""
    given = {"input_ids": batch["input_ids"], "emotion_vector": batch["emotion_vector"]}
    expected = wrap(base)(**given).logits
    copied = copy.deepcopy(base)
    targets = find_targets(copied, ["q_proj", "down_proj"])
    lora = LoraConfig(
        task_type="CAUSAL_LM", target_modules=[*targets.names], exclude_modules=targets.excluded, r=8, lora_alpha=8
    )
    model = get_peft_model(wrap(copied), lora) if is_around else wrap(get_peft_model(copied, lora))
    # A new adapter has no effect.
    assert torch.equal(model.eval()(**given).logits, expected)
