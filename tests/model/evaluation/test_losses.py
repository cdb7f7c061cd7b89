"""The loss of each example, compared with the base model's own loss of that example alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from emomodel.batches.collator import DataCollatorForEmotionalGemma
from emomodel.batches.packing import PackingCollator
from emomodel.evaluation.losses import Collate, Evaluator
from emomodel.model.projection import make_projection
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.samples.dataset import IGNORED_LABEL

pytestmark = pytest.mark.model

AXES = 8


@pytest.fixture(scope="module")
def samples() -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(5)
    made = []
    for length in (21, 7, 30, 12, 18):
        ids = torch.randint(10, 900, (length,), generator=generator)
        labels = ids.clone()
        labels[1 : length // 2] = IGNORED_LABEL
        emotions = torch.rand(length, AXES, generator=generator) * 2 - 1
        made.append(
            {"input_ids": ids, "attention_mask": torch.ones_like(ids), "emotion_vectors": emotions, "labels": labels}
        )
    return made


@pytest.fixture
def wrapper(tiny_gemma: Path) -> EmotionalGemmaUnslothWrapper:
    base: Any = AutoModelForCausalLM.from_pretrained(tiny_gemma, dtype=torch.float32)
    torch.manual_seed(1)
    return EmotionalGemmaUnslothWrapper(base, make_projection(AXES, 64, "default"), scale=1.0, centered=True).train()


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("collate", [DataCollatorForEmotionalGemma(0, AXES), PackingCollator(0, AXES)])
def test_each_example_has_the_loss_that_it_has_alone(
    wrapper: EmotionalGemmaUnslothWrapper, samples: list[dict[str, Any]], collate: Collate, softcap: float | None
) -> None:
    wrapper.config.final_logit_softcapping = softcap
    found = Evaluator(wrapper, collate, samples, batch_size=3).measure()
    alone = DataCollatorForEmotionalGemma(0, AXES)
    assert len(found) == len(samples)
    for ours, sample in zip(found, samples, strict=True):
        batch = alone([sample])
        with torch.no_grad():
            assert ours.loss == pytest.approx(wrapper(**batch).loss.item(), rel=1e-5)
            batch["emotion_vector"] = torch.zeros_like(batch["emotion_vector"])
            assert ours.neutral_loss == pytest.approx(wrapper(**batch).loss.item(), rel=1e-5)
        # Nothing predicts the label of the first token.
        assert ours.target_count == len(sample["labels"]) - len(sample["labels"]) // 2


def test_the_sum_is_over_tokens_and_nothing_is_changed(
    wrapper: EmotionalGemmaUnslothWrapper, samples: list[dict[str, Any]]
) -> None:
    state = torch.get_rng_state()
    evaluator = Evaluator(wrapper, DataCollatorForEmotionalGemma(0, AXES), samples, batch_size=2)
    total = evaluator.sum_up()
    each = evaluator.measure()
    count = sum(example.target_count for example in each)
    assert total.loss == pytest.approx(sum(example.loss * example.target_count for example in each) / count)
    assert total.neutral_loss != pytest.approx(total.loss, rel=1e-5)
    assert total.example_count == 5
    assert wrapper.training
    assert torch.equal(torch.get_rng_state(), state)
