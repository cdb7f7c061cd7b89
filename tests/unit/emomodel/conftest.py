"""One tiny tokenizer for all tests of code that works on tokens."""

from pathlib import Path

import pytest

from emomodel.samples.chat import ChatFormat
from emomodel.samples.light_tokenizer import load_light_tokenizer
from tests.support.tiny_tokenizer import write_tiny_tokenizer


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def chat_format(tokenizer_folder: Path) -> ChatFormat:
    return ChatFormat(load_light_tokenizer(tokenizer_folder))
