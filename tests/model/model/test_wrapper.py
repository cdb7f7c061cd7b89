"""The wrapper's arithmetic: offsets, the loss where labels are, and what it takes from the base model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from emomodel.batches.collator import find_target_positions
from emomodel.model.projection import make_projection
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.samples.dataset import IGNORED_LABEL

pytestmark = pytest.mark.model

AXES = 8


@pytest.fixture
def base(tiny_gemma: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_gemma, dtype=torch.float32)


def wrap(base: Any, *, centered: bool = True, scale: float = 1.0) -> EmotionalGemmaUnslothWrapper:
    torch.manual_seed(1)
    return EmotionalGemmaUnslothWrapper(base, make_projection(AXES, 64, "default"), scale=scale, centered=centered)


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """Two rows of 12 tokens, the second with 4 of padding; labels on a few positions."""
    torch.manual_seed(2)
    ids = torch.randint(10, 900, (2, 12))
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0
    labels = torch.full_like(ids, IGNORED_LABEL)
    labels[0, 5:9], labels[1, 3:8] = ids[0, 5:9], ids[1, 3:8]
    # Nothing predicts the label of the first position.
    labels[0, 0] = ids[0, 0]
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": labels,
        "emotion_vector": torch.rand(2, 12, AXES) * 2 - 1,
    }


def test_without_target_positions_the_base_model_gets_the_labels_as_they_are(
    base: Any, batch: dict[str, Tensor]
) -> None:
    wrapper = wrap(base).train()
    output = wrapper(**batch)
    assert output.logits.shape == (2, 12, 1024)
    torch.testing.assert_close(output.loss, full_logits_loss(base, wrapper, batch))


def full_logits_loss(base: Any, wrapper: EmotionalGemmaUnslothWrapper, batch: dict[str, Tensor], **kwargs: Any) -> Any:
    """The base model's own loss, with its head computed at every position."""
    embeds = base.get_input_embeddings()(batch["input_ids"]) + wrapper.offset(batch["emotion_vector"])
    mask, labels = batch["attention_mask"], batch["labels"]
    return base(inputs_embeds=embeds, attention_mask=mask, labels=labels, use_cache=False, **kwargs).loss


@pytest.mark.parametrize("softcapping", [None, 2.0])
@pytest.mark.parametrize("item_count", [None, torch.tensor(40)])
def test_loss_where_labels_are_equals_loss_of_full_logits(
    base: Any, batch: dict[str, Tensor], softcapping: float | None, item_count: Tensor | None
) -> None:
    base.config.final_logit_softcapping = softcapping
    wrapper = wrap(base).train()
    heard: list[tuple[int, ...]] = []
    base.lm_head.register_forward_hook(lambda *call: heard.append(tuple(call[2].shape)))
    positions = find_target_positions(batch["labels"])
    loss = wrapper(**batch, target_positions=positions, num_items_in_batch=item_count).loss
    # Nine labels, and the position that the base model's shift drops.
    assert heard == [(1, 10, 1024)]
    expected = full_logits_loss(
        base, wrapper, batch, **({} if item_count is None else {"num_items_in_batch": item_count})
    )
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)
    parameters = list(wrapper.emotion_proj_embed.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_decoder_is_restored_after_a_failure(base: Any, batch: dict[str, Tensor]) -> None:
    wrapper = wrap(base)
    with pytest.raises(AttributeError):
        wrapper(**batch, target_positions=find_target_positions(batch["labels"]), position_ids="nonsense")
    assert wrapper(batch["input_ids"]).logits.shape == (2, 12, 1024)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_offset_is_added_on_top_of_the_scaled_embedding(base: Any, batch: dict[str, Tensor], scale: float) -> None:
    wrapper = wrap(base, scale=scale).eval()
    emotion = batch["emotion_vector"]
    proj = wrapper.emotion_proj_embed
    offset = scale * (proj(emotion) - proj(torch.zeros(AXES)))
    embeds = base.model.embed_tokens.weight[batch["input_ids"]] * 64**0.5 + offset
    expected = base(inputs_embeds=embeds, attention_mask=batch["attention_mask"]).logits
    got = wrapper(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], emotion_vector=emotion).logits
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_centred_neutral_is_exactly_the_base_model(base: Any, batch: dict[str, Tensor]) -> None:
    wrapper = wrap(base).eval()
    ids, mask = batch["input_ids"], batch["attention_mask"]
    expected = base(input_ids=ids, attention_mask=mask).logits
    neutral = torch.zeros(2, 12, AXES)
    assert torch.equal(wrapper(input_ids=ids, attention_mask=mask, emotion_vector=neutral).logits, expected)
    assert torch.equal(wrapper(input_ids=ids, attention_mask=mask).logits, expected)


def test_neutral_that_is_not_centred_has_an_offset(base: Any, batch: dict[str, Tensor]) -> None:
    wrapper = wrap(base, centered=False).eval()
    expected = base(input_ids=batch["input_ids"]).logits
    assert not torch.allclose(wrapper(input_ids=batch["input_ids"]).logits, expected)
    given = wrapper(input_ids=batch["input_ids"], emotion_vector=torch.zeros(2, 12, AXES)).logits
    assert torch.equal(wrapper(input_ids=batch["input_ids"]).logits, given)


def test_zero_last_starts_without_effect_and_default_with() -> None:
    emotion = torch.eye(AXES)
    assert make_projection(AXES, 64, "zero_last")(emotion).abs().max() == 0
    assert make_projection(AXES, 64, "default")(emotion).abs().max() > 0.01


def test_projection_stays_in_float32_under_a_16_bit_model(base: Any, batch: dict[str, Tensor]) -> None:
    wrapper = wrap(base.to(torch.bfloat16)).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        offset = wrapper.offset(batch["emotion_vector"])
    assert offset.dtype == torch.float32
    assert torch.equal(offset, wrapper.offset(batch["emotion_vector"]))
    assert wrapper(input_ids=batch["input_ids"], emotion_vector=batch["emotion_vector"]).logits.dtype == torch.bfloat16


def test_what_peft_and_the_trainer_ask_for_is_the_base_models(base: Any) -> None:
    wrapper = wrap(base)
    assert wrapper.config is base.config
    assert wrapper.get_input_embeddings() is base.get_input_embeddings()
    assert wrapper.get_output_embeddings() is base.lm_head
    assert (wrapper.dtype, wrapper.device) == (torch.float32, torch.device("cpu"))
    assert wrapper.generation_config is base.generation_config
    new = nn.Embedding(1024, 64)
    wrapper.set_input_embeddings(new)
    assert base.get_input_embeddings() is new
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = wrapper.no_such_thing


def test_gradient_checkpointing_gives_the_same_gradients(base: Any, batch: dict[str, Tensor]) -> None:
    wrapper = wrap(base).train()
    parameters = list(wrapper.emotion_proj_embed.parameters())
    plain = torch.autograd.grad(wrapper(**batch).loss, parameters)
    wrapper.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert base.is_gradient_checkpointing
    checkpointed = torch.autograd.grad(wrapper(**batch).loss, parameters)
    wrapper.gradient_checkpointing_disable()
    assert not base.is_gradient_checkpointing
    for ours, theirs in zip(checkpointed, plain, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_generate_without_emotion_is_refused(base: Any) -> None:
    with pytest.raises(TypeError, match=r"emomodel\.generate"):
        wrap(base).generate(torch.ones(1, 1, dtype=torch.int64))
