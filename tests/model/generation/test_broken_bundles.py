"""Whatever is broken in a bundle or wrong on the command line, the user gets one line, and never a traceback."""

import json
import random
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from emomodel.__main__ import main
from emomodel.bundles.bundle import write_manifest
from emomodel.bundles.manifest import parse_manifest
from emomodel.protocol.progress import EXIT_FAILED, EXIT_OK
from tests.model.tiny_training import Trained

pytestmark = pytest.mark.model

MANIFEST = "bundle.json"
# Everything in a bundle that is read as more than bytes.
BROKEN_FILES = [
    MANIFEST,
    "reference.json",
    "emotion_proj.pth",
    "emotion_proj.safetensors",
    "adapter/adapter_config.json",
    "adapter/adapter_model.safetensors",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/chat_template.jinja",
]
CONTENTS = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"7",
    b'"\\ud800"',
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b"{% if %}",
    b"{{ 1 / 0 }}",
]
WRONG_VALUES: list[Any] = [None, True, -1, 10**30, 1.5, "", "x", [], [[]], {}, {"x": 1}, [-1], ["joy"], "Infinity"]
SEED = 14
# The number of broken variants of each file. Hundreds were tried once; these cover the faults that they found.
BROKEN_COUNT = 6


def break_value(document: Any, random_: random.Random) -> Any:
    """The document with one of its values, at any depth, replaced by one of another kind."""
    places: list[tuple[Any, Any]] = []

    def visit(value: Any) -> None:
        keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
        for key in keys:
            places.append((value, key))
            visit(value[key])

    visit(document)
    owner, key = random_.choice(places)
    owner[key] = random_.choice(WRONG_VALUES)
    return document


def break_file(path: Path, random_: random.Random) -> None:
    content = path.read_bytes()
    kind = random_.randrange(4 if path.suffix == ".json" else 2)
    if kind == 0:
        path.write_bytes(random_.choice(CONTENTS))
    elif kind == 1:
        path.write_bytes(content[: random_.randrange(len(content))])
    else:
        path.write_text(json.dumps(break_value(json.loads(content), random_)), encoding="utf-8")


def run(arguments: list[str]) -> int:
    with warnings.catch_warnings():
        # PEFT and transformers warn of what they don't know in a file.
        warnings.simplefilter("ignore")
        return main(arguments)


def assert_one_line(exit_code: int, capsys: pytest.CaptureFixture[str]) -> None:
    printed = capsys.readouterr()
    assert exit_code in (EXIT_OK, EXIT_FAILED)
    assert (exit_code == EXIT_OK) == (not printed.err) or "self-test FAILED" in printed.out
    assert not printed.err or printed.err.startswith("error: ")


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_broken_file_of_a_bundle_is_a_clear_error(
    trained: Trained, tiny_gemma: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    random_ = random.Random(SEED)  # noqa: S311 - no secret
    base = ["--base", str(tiny_gemma)]
    for number in range(BROKEN_COUNT):
        folder = tmp_path / str(number)
        shutil.copytree(trained.folder, folder)
        manifest = parse_manifest((folder / MANIFEST).read_bytes())
        break_file(folder / name, random_)
        if name != MANIFEST:
            write_manifest(folder, manifest)
        for command in (
            ["verify", str(folder), *base],
            ["generate", str(folder), *base, "--prompt", "Hi", "--max-new-tokens", "2"],
        ):
            assert_one_line(run(command), capsys)
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--emotion", "joy=2"], "joy=2.0 is out of range"),
        (["--emotion", f"joy for {'9' * 5000}"], "is no number of tokens"),
        (["--max-new-tokens", "0"], "max_new_tokens is 0; it must be from 1 to"),
        (["--max-new-tokens", "1000000000"], "max_new_tokens is 1000000000; it must be from 1 to"),
        (["--temperature", "nan"], "temperature is nan; it must be"),
        (["--temperature", "inf"], "temperature is inf; it must be"),
        (["--top-p", "1.5"], "top_p is 1.5; it must be"),
        (["--repetition-penalty", "0"], "repetition_penalty is 0; it must be"),
        (["--seed", "-1"], "seed is -1; it must be from 0 to"),
        (["--seed", str(2**64)], "it must be from 0 to"),
    ],
)
def test_an_option_that_can_not_be_used_is_named(
    trained: Trained, tiny_gemma: Path, capsys: pytest.CaptureFixture[str], option: list[str], words: str
) -> None:
    assert run(["generate", str(trained.folder), "--base", str(tiny_gemma), "--prompt", "Hi", *option]) == EXIT_FAILED
    assert words in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise ValueError("invalid literal for int()")

    monkeypatch.setattr("emomodel.__main__._print_files", fail)
    with pytest.raises(ValueError, match="invalid literal"):
        main(["verify", str(trained.folder)])
