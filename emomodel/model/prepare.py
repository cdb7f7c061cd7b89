"""A base model made ready to learn: in the wrapper with a fresh projection, with a fresh adapter on it."""

from dataclasses import dataclass

from peft import LoraConfig, PeftModel, get_peft_model
from transformers import set_seed

from emomodel.config import TrainConfig
from emomodel.errors import ModelLoadFailed
from emomodel.model.loading import BaseModel
from emomodel.model.projection import make_projection
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper

# A model for text and images has linear layers of the same names in its vision part, which text never reaches.
_UNTRAINED_PARTS = r".*(vision_tower|vision_model|multi_modal_projector).*"
_VISION_PARTS = ("vision_tower", "vision_model")


@dataclass(frozen=True)
class EmotionalModel:
    """The model in training: `peft_model` is what runs, `wrapper` the part of it that holds the projection."""

    peft_model: PeftModel
    wrapper: EmotionalGemmaUnslothWrapper


def make_emotional_model(base: BaseModel, config: TrainConfig, axis_count: int) -> EmotionalModel:
    """The base model in the wrapper, with fresh adapter and projection. Raises ModelLoadFailed."""
    set_seed(config.seed)
    projection = make_projection(axis_count, base.hidden_size, config.emotion_init).to(base.device)
    wrapper = EmotionalGemmaUnslothWrapper(
        base.model, projection, scale=config.emotion_scale, centered=config.emotion_centered
    )
    has_vision = any(part in name for name, _ in wrapper.named_modules() for part in _VISION_PARTS)
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,  # type: ignore[arg-type]  # any number will do: it is divided by the rank
        lora_dropout=config.lora_dropout,
        target_modules=list(config.lora_modules),
        exclude_modules=_UNTRAINED_PARTS if has_vision else None,
    )
    try:
        peft_model = get_peft_model(wrapper, lora)
    except ValueError as error:
        raise ModelLoadFailed(f"the adapter doesn't fit the base model; change lora_modules: {error}") from error
    # PEFT freezes all but the adapter.
    projection.requires_grad_(True)
    peft_model.print_trainable_parameters()
    return EmotionalModel(peft_model, wrapper)
