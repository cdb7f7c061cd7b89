"""A folder's files turn a chat into tokens. tests/model/samples/test_light_tokenizer.py compares with transformers."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from emomodel.data.examples import Turn
from emomodel.samples.chat import ChatFormat, ControlTokenInText
from emomodel.samples.chat_text import TemplateMissing
from emomodel.samples.light_tokenizer import TokenizerUnusable, hash_tokenizer, load_light_tokenizer, stat_tokenizer

QUESTION = Turn("user", "How was it?", (0.0,))


@pytest.fixture
def folder(tokenizer_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tokenizer's folder, which a test may change."""
    return Path(shutil.copytree(tokenizer_folder, tmp_path / "copy"))


def change_json(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in (content | changes).items() if value is not None}))


def tokenise(folder: Path) -> list[str]:
    tokenizer = load_light_tokenizer(folder)
    chat = ChatFormat(tokenizer).tokenise((QUESTION,))
    return [str(tokenizer.convert_ids_to_tokens(token_id)) for token_id in chat.input_ids]


def test_a_chat_becomes_tokens(folder: Path) -> None:
    tokens = tokenise(folder)
    assert tokens[:3] == ["<bos>", "<start_of_turn>", "user"]
    assert "".join(tokens).endswith("How▁was▁it?<end_of_turn><0x0A>")


def test_lengths_that_the_file_asks_for_are_not_kept(folder: Path) -> None:
    truncation = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    whole = tokenise(folder)
    change_json(folder / "tokenizer.json", truncation=truncation)
    assert tokenise(folder) == whole


def test_the_template_may_lie_in_the_config(folder: Path) -> None:
    template = (folder / "chat_template.jinja").read_text()
    whole = tokenise(folder)
    (folder / "chat_template.jinja").unlink()
    change_json(folder / "tokenizer_config.json", chat_template=template)
    assert tokenise(folder) == whole
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": template}]
    change_json(folder / "tokenizer_config.json", chat_template=named)
    assert tokenise(folder) == whole
    change_json(folder / "tokenizer_config.json", chat_template=named[:1])
    with pytest.raises(TemplateMissing):
        tokenise(folder)


def test_special_tokens_may_lie_in_a_file_of_their_own(folder: Path) -> None:
    whole = tokenise(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    bos = {"content": config.pop("bos_token"), "lstrip": False, "rstrip": False, "normalized": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert tokenise(folder)[0] != "<bos>"
    (folder / "special_tokens_map.json").write_text(json.dumps({"bos_token": bos}))
    assert tokenise(folder) == whole


@pytest.mark.parametrize(
    "changes",
    [
        {"extra_special_tokens": ["sad"]},
        {"extra_special_tokens": None, "additional_special_tokens": ["sad"]},
        {"extra_special_tokens": {"sad_token": "sad"}},
        {"sad_token": {"content": "sad"}},
        {"added_tokens_decoder": {"300": {"content": "sad", "special": True}}},
    ],
)
def test_tokens_that_the_config_calls_special_are_control_tokens(folder: Path, changes: dict[str, Any]) -> None:
    turns = (Turn("user", "I am sad.", (0.0,)),)
    ChatFormat(load_light_tokenizer(folder)).tokenise(turns)
    change_json(folder / "tokenizer_config.json", **changes)
    with pytest.raises(ControlTokenInText, match="sad"):
        ChatFormat(load_light_tokenizer(folder)).tokenise(turns)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("tokenizer.json", None, "holds no tokenizer.json"),
        ("tokenizer.json", "{", "tokenizer.json can't be read"),
        ("tokenizer.json", "[]", "tokenizer.json can't be read"),
        ("tokenizer_config.json", "{", "tokenizer_config.json can't be read"),
        ("tokenizer_config.json", "[]", "holds no JSON object"),
        ("chat_template.jinja", "{% if %}", "no valid template"),
    ],
)
def test_files_that_cannot_be_used_are_named(folder: Path, name: str, content: str | None, match: str) -> None:
    (folder / name).unlink() if content is None else (folder / name).write_text(content)
    with pytest.raises(TokenizerUnusable, match=match):
        load_light_tokenizer(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
def test_the_hash_is_of_all_that_makes_the_tokens(folder: Path, name: str) -> None:
    before, stamp = hash_tokenizer(folder), stat_tokenizer(folder)
    (folder / "model.safetensors").write_text("weights")
    assert (hash_tokenizer(folder), stat_tokenizer(folder)) == (before, stamp)
    (folder / name).write_text((folder / name).read_text() + "\n")
    assert hash_tokenizer(folder) != before
    assert stat_tokenizer(folder) != stamp
