"""Which licence and notice files a bundle gets: those of the base model, and Gemma's notice where it is due."""

import json
from pathlib import Path

import pytest

from emomodel.model.notice_files import GEMMA_NOTICE_FILE, copy_notice_files

pytestmark = pytest.mark.model

GEMMA_SENTENCE = "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    return folder


def make_base(folder: Path, kind: str | None, *files: str) -> str:
    # The name says Gemma, which must not matter.
    base = folder / "gemma-by-name"
    base.mkdir()
    if kind is not None:
        (base / "config.json").write_text(json.dumps({"model_type": kind}))
    for name in files:
        (base / name).write_text(f"the content of {name}")
    return str(base)


def test_licence_and_notice_files_are_copied(tmp_path: Path, target: Path) -> None:
    files = ("LICENSE", "NOTICE.txt", "GEMMA_TERMS.html", "USE_POLICY.md", "Licence.md")
    base = make_base(tmp_path, "llama", *files, "README.md", "model.safetensors")
    assert copy_notice_files(base, target) == sorted(files)
    assert {path.name: path.read_text() for path in target.iterdir()} == {
        name: f"the content of {name}" for name in files
    }


@pytest.mark.parametrize("kind", ["gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text"])
def test_a_gemma_under_the_gemma_terms_gets_their_notice(tmp_path: Path, target: Path, kind: str) -> None:
    assert copy_notice_files(make_base(tmp_path, kind), target) == [GEMMA_NOTICE_FILE]
    assert GEMMA_SENTENCE in (target / GEMMA_NOTICE_FILE).read_text().splitlines()


@pytest.mark.parametrize("kind", ["gemma4", "gemma4_text", "llama", "qwen3", "phi3", "gpt_oss", None])
def test_other_kinds_get_no_notice_whatever_they_are_called(tmp_path: Path, target: Path, kind: str | None) -> None:
    assert copy_notice_files(make_base(tmp_path, kind), target) == []
    assert list(target.iterdir()) == []


def test_a_gemma_with_terms_of_its_own_keeps_those_alone(tmp_path: Path, target: Path) -> None:
    assert copy_notice_files(make_base(tmp_path, "gemma3", "LICENSE"), target) == ["LICENSE"]


@pytest.mark.parametrize("content", ["{", "[]", "\ufeff"])
def test_a_broken_config_gives_no_notice(tmp_path: Path, target: Path, content: str) -> None:
    base = make_base(tmp_path, "gemma3")
    (Path(base) / "config.json").write_text(content)
    assert copy_notice_files(base, target) == []
