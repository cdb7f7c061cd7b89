"""The options --set name=value."""

import pytest

from cli.overrides import OverrideError, parse_overrides


def test_values_are_json_where_they_parse_and_text_elsewhere() -> None:
    texts = ["epochs=2", "schedule=cosine", 'lora_modules=["q_proj"]', "load_in_4bit=false", "max_steps=null"]
    assert parse_overrides(texts) == {
        "epochs": 2,
        "schedule": "cosine",
        "lora_modules": ["q_proj"],
        "load_in_4bit": False,
        "max_steps": None,
    }


@pytest.mark.parametrize("text", ["epochs", "=2", ""])
def test_a_text_without_name_or_value_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(OverrideError, match="name=value"):
        parse_overrides([text])
