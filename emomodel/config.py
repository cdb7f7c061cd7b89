"""TrainConfig: the only definition of the hyperparameters.

A job's config is a TrainConfig, frozen when the job is created; the training process reads the same object. Each
field says what it does, its unit and its range: the API's schema and docs/configuration.md are made from it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# The linear layers of a Gemma, Llama or Qwen block: attention and MLP.
LinearModule = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LINEAR_MODULES: tuple[LinearModule, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

Backend = Literal["auto", "transformers", "unsloth"]
Batching = Literal["auto", "fixed", "dynamic", "packed"]
Acceleration = Literal["auto", "off"]
Balance = Literal["none", "axes"]
EmotionInit = Literal["zero_last", "xavier", "default"]
EmotionSpan = Literal["lead", "token"]
Schedule = Literal["linear", "cosine", "constant"]

# The maximum number of optimizer updates of a training.
MAX_STEPS = 10_000_000
_MAX_ACCUMULATION = 4096


class TrainConfig(BaseModel):
    """The hyperparameters of a job. Unknown fields are refused; the defaults are those of the preset `default`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    # Length and batches
    epochs: Annotated[float, Field(gt=0, le=1000)] = Field(4.0, description="Passes over the dataset.")
    max_steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] | None = Field(
        None, description="Stop after this many optimizer updates, whatever `epochs` says."
    )
    batch_size: Annotated[int, Field(ge=1, le=4096)] = Field(12, description="Examples per forward pass.")
    gradient_accumulation: Annotated[int, Field(ge=1, le=_MAX_ACCUMULATION)] = Field(
        1, description="Forward passes per optimizer update."
    )
    max_length: Annotated[int, Field(ge=8, le=131_072)] = Field(
        256, description="Maximum tokens per example; a longer one is cut, and the log counts the cuts."
    )
    batching: Batching = Field(
        "auto",
        description="`fixed` pads each example to max_length, `dynamic` to the longest of its batch; `packed` joins "
        "the batch's examples into one row without mixing them. The loss is the same. `auto`: packed on CUDA, dynamic "
        "on a CPU, and with a base model that can't keep packed examples apart.",
    )
    group_by_length: bool = Field(
        True, description="Put examples of similar length into the same batch (dynamic batching)."
    )

    # Examples
    sample_limit: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="Train on at most this many examples, chosen by content: a larger limit only adds examples.",
    )
    eval_fraction: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="Share of the examples, chosen by content, that is held out to measure the loss on."
    )
    eval_every: Annotated[int, Field(ge=1, le=MAX_STEPS)] | None = Field(
        None,
        description="Steps between two evaluations on the held-out examples; default: once an epoch, and at the end.",
    )
    row_report: bool = Field(
        False,
        description="After the training, measure each example's loss, which shows mislabelled and unusual examples.",
    )
    balance: Balance = Field(
        "none", description="`axes` draws examples so that each pole that occurs, and neutral, gets an equal share."
    )

    # Optimizer
    lora_learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        2e-4, description="Peak learning rate of the adapter."
    )
    emotion_learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        2e-3, description="Peak learning rate of the emotion projection."
    )
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="Weight decay, applied to the adapter only."
    )
    warmup_ratio: Annotated[float, Field(ge=0, le=1)] = Field(
        0.05, description="Share of the steps over which the learning rates rise to their peaks."
    )
    schedule: Schedule = Field("linear", description="How the learning rates change after the warm-up.")
    max_grad_norm: Annotated[float, Field(gt=0, le=1e6)] = Field(1.0, description="Gradients are clipped to this norm.")

    # Adapter
    lora_rank: Annotated[int, Field(ge=1, le=1024)] = Field(32, description="Rank of each LoRA pair.")
    lora_alpha: Annotated[float, Field(gt=0, le=4096)] = Field(32.0, description="LoRA's scale is alpha / rank.")
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Dropout on the input of each LoRA pair."
    )
    # Not strict, because JSON has lists only.
    lora_modules: Annotated[tuple[LinearModule, ...], Field(min_length=1, strict=False)] = Field(
        LINEAR_MODULES,
        description="The linear layers that get an adapter, named by what they do. A layer that does several of these, "
        "such as Phi-3's `qkv_proj` and `gate_up_proj`, gets one if any of them is named. The experts of a mixture of "
        "experts get none. An event of the job lists what is named here and gets no adapter.",
    )

    # Emotion projection
    emotion_init: EmotionInit = Field(
        "zero_last",
        description="`zero_last` starts with no effect (last linear layer zero); `xavier` is the original project's "
        "(Xavier-uniform weights, zero biases), `default` PyTorch's own.",
    )
    emotion_centered: bool = Field(
        True, description="The offset is scale * (proj(e) - proj(0)), so that neutral is exactly the adapter alone."
    )
    emotion_scale: Annotated[float, Field(gt=0, le=100)] = Field(1.0, description="Factor on the projection's output.")
    emotion_span: EmotionSpan = Field(
        "lead",
        description="`lead`: a position carries the emotion of the token that it predicts; `token`: of its own token.",
    )

    # Execution
    backend: Backend = Field(
        "auto",
        description="The library that loads the base model. `auto`: Unsloth on CUDA where it is installed and can load "
        "the model, otherwise transformers.",
    )
    acceleration: Acceleration = Field(
        "auto",
        description="`auto`: compute the model's head only at positions with labels; on CUDA with packed batches also "
        "use compiled layers, attention without masks and CUDA graphs. `off`: the code of the library that loaded the "
        "base model.",
    )
    load_in_4bit: bool | None = Field(
        None, description="Load the base model in 4 bits (nf4); default: yes on CUDA, no on a CPU."
    )
    dtype: Literal["auto", "bfloat16", "float32"] = Field("auto", description="The type of base model and activations.")
    gradient_checkpointing: bool = Field(False, description="Use less memory at about half the speed.")
    auto_batch: bool = Field(
        False,
        description="When the GPU's memory is full, try once more with half the batch size and twice the accumulation.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        42, description="Seed of data order, initialisation and dropout."
    )
    checkpoint_every: Annotated[int, Field(ge=1, le=MAX_STEPS)] = Field(
        200, description="Steps between two checkpoints, if the operator has enabled them."
    )
    log_every: Annotated[int, Field(ge=1, le=10_000)] = Field(1, description="Steps between two metrics.")

    @model_validator(mode="after")
    def _modules_are_distinct(self) -> Self:
        if len(set(self.lora_modules)) != len(self.lora_modules):
            raise ValueError("lora_modules names a module twice")
        return self

    @property
    def needs_cuda(self) -> bool:
        """Whether only a slot with CUDA can run this config."""
        return self.backend == "unsloth" or self.load_in_4bit is True


Preset = Literal["default", "original"]

# The values of each preset that differ from the fields' own defaults.
PRESETS: dict[Preset, dict[str, Any]] = {
    "default": {},
    # Its training starts from a damaged model: the initial offset is larger than a token's embedding.
    "original": {
        "epochs": 2.0,
        "batch_size": 12,
        "max_length": 128,
        "batching": "fixed",
        "group_by_length": False,
        "lora_learning_rate": 1e-4,
        "emotion_learning_rate": 2e-3,
        "weight_decay": 0.01,
        "warmup_ratio": 0.1,
        "schedule": "cosine",
        "gradient_accumulation": 1,
        "max_grad_norm": 1.0,
        "lora_rank": 32,
        "lora_alpha": 32.0,
        "lora_dropout": 0.0,
        "lora_modules": LINEAR_MODULES,
        "emotion_init": "xavier",
        "emotion_centered": False,
        "emotion_scale": 3.0,
        "emotion_span": "token",
        "gradient_checkpointing": False,
        "seed": 42,
    },
}


PRESET_DESCRIPTIONS: dict[Preset, str] = {
    "default": "The best recipe measured so far.",
    "original": "Exactly the settings of the project that emotune grew from; kept for comparison.",
}


def make_config(preset: Preset = "default", changes: Mapping[str, Any] | None = None) -> TrainConfig:
    """The config of a preset with `changes` applied. Raises pydantic.ValidationError for an unknown field or value."""
    return TrainConfig.model_validate(PRESETS[preset] | dict(changes or {}))


def halve_batch(config: TrainConfig) -> TrainConfig | None:
    """The config with half the examples per forward pass and twice the passes per update, or None if impossible.

    An update takes as many examples as before, one less for each pass of an odd `batch_size`.
    """
    accumulation = 2 * config.gradient_accumulation
    if config.batch_size == 1 or accumulation > _MAX_ACCUMULATION:
        return None
    return config.model_copy(update={"batch_size": config.batch_size // 2, "gradient_accumulation": accumulation})
