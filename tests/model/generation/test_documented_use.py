"""What docs/bundle.md and a bundle's card show the owner of a bundle works as it is written there."""

import re
from pathlib import Path

import pytest

from tests.model.tiny_training import REPOSITORY, Trained

pytestmark = pytest.mark.model

_PYTHON_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def find_snippet(page: Path) -> str:
    """The one example in Python that imports emomodel."""
    snippet: str
    (snippet,) = (block for block in _PYTHON_BLOCK.findall(page.read_text(encoding="utf-8")) if "emomodel" in block)
    return snippet


def run_snippet(snippet: str, base: str, other_base: Path) -> None:
    assert f'base="{base}"' in snippet
    # The documented code itself; only the base model is one that this machine has.
    exec(compile(snippet.replace(base, str(other_base)), "snippet", "exec"), {})  # noqa: S102 - our own documentation


def test_the_example_of_the_bundle_page_streams_a_reply(
    trained: Trained, tiny_gemma: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trained.zip_path.parent)
    run_snippet(find_snippet(REPOSITORY / "docs" / "bundle.md"), "google/gemma-3-1b-it", tiny_gemma)
    assert capsys.readouterr().out.strip()


def test_the_example_of_a_card_writes_two_replies(
    trained: Trained, tiny_gemma: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trained.zip_path.parent)
    run_snippet(find_snippet(trained.folder / "README.md"), trained.request.base_model, tiny_gemma)
    assert len(capsys.readouterr().out.splitlines()) >= 2
