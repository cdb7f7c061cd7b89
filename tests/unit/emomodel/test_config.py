from typing import Any

import pytest
from pydantic import ValidationError

from emomodel.config import TrainConfig


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
