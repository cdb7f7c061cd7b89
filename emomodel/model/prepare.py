"""make_emotional_model: a base model prepared for training, in the wrapper, with a new projection and adapter."""

from dataclasses import dataclass

from peft import LoraConfig, PeftModel, get_peft_model
from transformers import set_seed

from emomodel.config import TrainConfig
from emomodel.errors import ModelLoadFailed
from emomodel.model.adapter_targets import find_targets
from emomodel.model.loading import LoadedBaseModel
from emomodel.model.projection import make_projection
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper


@dataclass(frozen=True)
class EmotionalModel:
    """A model for training. `peft_model` is what runs; `wrapper`, inside it, holds base model and projection.

    `adapter_gap` says what `lora_modules` names and gets no adapter; None where all of it does.
    """

    peft_model: PeftModel
    wrapper: EmotionalGemmaUnslothWrapper
    adapter_gap: str | None


def make_emotional_model(base: LoadedBaseModel, config: TrainConfig, axis_count: int) -> EmotionalModel:
    """Put the base model into the wrapper, with a new adapter and a new projection for `axis_count` axes.

    This seeds all random number generators with `config.seed`. Raises ModelLoadFailed when the base model has none of
    the layers that `config.lora_modules` names.
    """
    set_seed(config.seed)
    projection = make_projection(axis_count, base.hidden_size, config.emotion_init).to(base.device)
    wrapper = EmotionalGemmaUnslothWrapper(
        base.model, projection, scale=config.emotion_scale, centered=config.emotion_centered
    )
    targets = find_targets(base.model, config.lora_modules)
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,  # type: ignore[arg-type]  # PEFT takes any number: it divides it by the rank
        lora_dropout=config.lora_dropout,
        target_modules=list(targets.names),
        exclude_modules=targets.excluded,
    )
    try:
        peft_model = get_peft_model(wrapper, lora)
    except ValueError as error:
        raise ModelLoadFailed(f"the adapter doesn't fit the base model; change lora_modules: {error}") from error
    # PEFT freezes everything but the adapter, the projection too.
    projection.requires_grad_(True)
    peft_model.print_trainable_parameters()
    return EmotionalModel(peft_model, wrapper, targets.gap)
