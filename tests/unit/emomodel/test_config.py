from typing import Any

import pytest
from pydantic import ValidationError

from emomodel.config import LINEAR_MODULES, PRESETS, Preset, TrainConfig, halve_batch, make_config

# These are the values in the original project's train.py and emotional_gemma.py, as docs/seed.md lists them.
ORIGINAL: dict[str, Any] = {
    "epochs": 2.0,
    "max_steps": None,
    "batch_size": 12,
    "gradient_accumulation": 1,
    "max_length": 128,
    "batching": "fixed",
    "group_by_length": False,
    "lora_learning_rate": 1e-4,
    "emotion_learning_rate": 2e-3,
    "weight_decay": 0.01,
    "warmup_ratio": 0.1,
    "schedule": "cosine",
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
}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_valid_config_whole_and_by_itself(preset: Preset) -> None:
    config = make_config(preset)
    assert {name: getattr(config, name) for name in PRESETS[preset]} == PRESETS[preset]
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


def test_the_preset_default_is_the_fields_own_defaults() -> None:
    assert make_config() == make_config("default") == TrainConfig()


def test_the_preset_original_is_the_original_project_to_the_letter() -> None:
    assert make_config("original").model_dump(include=set(ORIGINAL)) == ORIGINAL
    # The other fields say how the training runs on this machine and how often it reports, or belong to features that
    # the original lacks: here all examples are trained on, and none is held out.
    left = set(TrainConfig.model_fields) - set(ORIGINAL)
    how = {"backend", "acceleration", "auto_batch", "load_in_4bit", "dtype", "log_every", "checkpoint_every"}
    assert left - how == {"sample_limit", "eval_fraction", "eval_every", "balance", "row_report"}
    config = make_config("original")
    assert (config.sample_limit, config.eval_fraction, config.balance, config.row_report) == (None, 0.0, "none", False)


def test_changes_go_over_a_preset_and_leave_it_as_it_is() -> None:
    config = make_config("original", {"epochs": 1, "schedule": "linear"})
    assert (config.epochs, config.schedule, config.emotion_scale) == (1.0, "linear", 3.0)
    assert make_config("original").schedule == "cosine"
    with pytest.raises(ValidationError, match="lora_rnk"):
        make_config("original", {"lora_rnk": 8})


@pytest.mark.parametrize(
    "fields",
    [
        {"epochs": 0},
        {"max_steps": 0},
        {"batch_size": 0},
        {"max_length": 7},
        {"lora_learning_rate": 0},
        {"lora_modules": []},
        {"lora_modules": ["q_proj", "q_proj"]},
        {"lora_modules": ["embed_tokens"]},
        {"lora_dropout": 1},
        {"emotion_span": "behind"},
        {"emotion_scale": float("nan")},
        {"seed": -1},
        {"learning_rate": 1e-4},
    ],
)
def test_what_is_out_of_range_or_unknown_is_refused(fields: dict[str, Any]) -> None:
    (name,) = fields
    with pytest.raises(ValidationError, match=name):
        TrainConfig.model_validate(fields)


def test_a_config_survives_json() -> None:
    config = TrainConfig(epochs=1.5, lora_modules=("q_proj", "v_proj"), load_in_4bit=False)
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


def test_every_field_says_what_it_does() -> None:
    assert [name for name, field in TrainConfig.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("fields", "needs_cuda"),
    [({}, False), ({"backend": "unsloth"}, True), ({"load_in_4bit": True}, True), ({"load_in_4bit": False}, False)],
)
def test_needs_cuda(fields: dict[str, Any], needs_cuda: bool) -> None:
    assert TrainConfig.model_validate(fields).needs_cuda is needs_cuda


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lora_rank", "8"),
        ("lora_rank", True),
        ("max_steps", 1.0),
        ("epochs", "2"),
        ("group_by_length", "yes"),
        ("max_grad_norm", float("inf")),
        ("epochs", float("nan")),
    ],
)
def test_a_value_of_another_type_or_without_an_end_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        TrainConfig.model_validate({field: value})


def test_a_whole_number_may_stand_for_a_decimal_one_and_a_list_for_the_modules() -> None:
    config = TrainConfig.model_validate({"epochs": 2, "lora_modules": ["q_proj"]})
    assert (config.epochs, config.lora_modules) == (2.0, ("q_proj",))


@pytest.mark.parametrize(("before", "after"), [((12, 1), (6, 2)), ((5, 3), (2, 6)), ((2, 2048), (1, 4096))])
def test_half_a_batch_takes_twice_the_accumulation(before: tuple[int, int], after: tuple[int, int]) -> None:
    config = TrainConfig(batch_size=before[0], gradient_accumulation=before[1], epochs=3.0, auto_batch=True)
    halved = halve_batch(config)
    assert halved is not None
    assert (halved.batch_size, halved.gradient_accumulation) == after
    assert halved.model_copy(update={"batch_size": before[0], "gradient_accumulation": before[1]}) == config
    assert TrainConfig.model_validate_json(halved.model_dump_json()) == halved


@pytest.mark.parametrize(("batch_size", "accumulation"), [(1, 1), (8, 4096)])
def test_what_can_be_halved_no_more_is_not(batch_size: int, accumulation: int) -> None:
    assert halve_batch(TrainConfig(batch_size=batch_size, gradient_accumulation=accumulation)) is None
