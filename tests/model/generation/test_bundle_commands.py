"""`emotune` and `python -m emomodel` have the same commands for bundles; here they run as processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from emomodel.__main__ import main
from tests.model.tiny_training import ONE_THREAD, REPOSITORY, Trained

pytestmark = pytest.mark.model


def emotune(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=REPOSITORY,
        env=os.environ | ONE_THREAD,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_verify_with_a_base_runs_the_self_test(trained: Trained, tiny_gemma: Path) -> None:
    done = emotune("verify", str(trained.zip_path), "--base", str(tiny_gemma))
    assert done.returncode == 0, done.stderr
    assert "pass  sadness -> joy: difference " in done.stdout
    assert "self-test passed: 5 of 5 prompts" in done.stdout


def test_a_base_that_is_not_there_is_one_clear_line(trained: Trained, tmp_path: Path) -> None:
    done = emotune("verify", str(trained.zip_path), "--base", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert done.stderr == f"error: the base model's folder {tmp_path / 'nowhere'} does not exist\n"


def test_streamed_replies_are_those_written_at_once(
    trained: Trained, tiny_gemma: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["generate", str(trained.zip_path), "--base", str(tiny_gemma), "--temperature", "0"]
    arguments += ["--max-new-tokens", "16", "--prompt", "How was the concert?", "--prompt", "What is 2 + 2?"]
    arguments += ["--emotion", "sadness=0.9 for 2 -> joy=0.9", "--emotion", "neutral"]
    done = emotune(*arguments, "--stream")
    assert done.returncode == 0, done.stderr
    assert main(arguments) == 0
    assert done.stdout == capsys.readouterr().out
    assert done.stdout.count("[sadness=0.9 for 2 -> joy=0.9] ") == 2


def test_an_emotion_that_can_not_be_read_ends_it_before_anything_is_written(
    trained: Trained, tiny_gemma: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["generate", str(trained.zip_path), "--base", str(tiny_gemma), "--prompt", "Hi", "--stream"]
    assert main([*arguments, "--emotion", "joy", "--emotion", "joy -> saddness"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(
        "error: the emotion 'saddness' can't be read: unknown emotion 'saddness'. Did you mean"
    )


def test_import_makes_a_bundle_that_verifies(trained: Trained, tiny_gemma: Path, tmp_path: Path) -> None:
    """An adapter and a projection of emotune, in the layout of the original project."""
    folder = tmp_path / "output"
    shutil.copytree(trained.folder / "adapter", folder)
    torch.save(torch.load(trained.folder / "emotion_proj.pth", weights_only=True), folder / "emotion_proj_weights.pth")
    bundle = tmp_path / "bundle.zip"
    done = emotune("import", str(folder), "-o", str(bundle), "--base", str(tiny_gemma), "--name", "first")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{bundle}: tiny-gemma imported from first\n"
    checked = emotune("verify", str(bundle), "--base", str(tiny_gemma))
    assert checked.returncode == 0, checked.stderr
    assert "self-test passed" in checked.stdout

    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    refused = emotune("import", str(folder), "-o", str(tmp_path / "other.zip"), "--base", str(tiny_gemma))
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: adapter_config.json doesn't describe a LoRA adapter")
