from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    # The format is recognised by the content, not by the name.
    return tmp_path / "chats.txt"
