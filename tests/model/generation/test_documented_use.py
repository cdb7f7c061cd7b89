"""What docs/bundle.md and a bundle's card show the owner of a bundle works as it is written there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.model.tiny_training import ONE_THREAD, REPOSITORY, Trained

pytestmark = pytest.mark.model

_PYTHON_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def find_snippet(page: Path) -> str:
    """The one example in Python that imports emomodel."""
    blocks: list[str] = _PYTHON_BLOCK.findall(page.read_text(encoding="utf-8"))
    (snippet,) = (block for block in blocks if "emomodel" in block)
    return snippet


def run_snippet(snippet: str, base: str, other_base: Path, folder: Path) -> str:
    """Run the documented code as a program in `folder`; only the base model is one that this machine has."""
    assert f'base="{base}"' in snippet
    script = folder / "example.py"
    script.write_text(snippet.replace(base, str(other_base)), encoding="utf-8")
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("page", "base"), [("docs/bundle.md", "google/gemma-3-1b-it"), ("README.md", "data/models/gemma-3-270m")]
)
def test_the_example_of_a_page_streams_a_reply(
    trained: Trained, tiny_gemma: Path, tmp_path: Path, page: str, base: str
) -> None:
    shutil.copy(trained.zip_path, tmp_path / "bundle.zip")
    assert run_snippet(find_snippet(REPOSITORY / page), base, tiny_gemma, tmp_path).strip()


def test_the_example_of_a_card_writes_two_replies(trained: Trained, tiny_gemma: Path, tmp_path: Path) -> None:
    shutil.copy(trained.zip_path, tmp_path / "bundle.zip")
    snippet = find_snippet(trained.folder / "README.md")
    assert len(run_snippet(snippet, trained.request.base_model, tiny_gemma, tmp_path).splitlines()) >= 2
