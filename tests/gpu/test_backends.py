"""The training process on CUDA with each backend: it learns, and its bundle is the same model when loaded again."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from emomodel.bundles.bundle import pack
from emomodel.protocol.progress import Failure, Metric, Notice, Result, parse_progress
from tests.gpu.training import TEST_SECONDS, run_emomodel
from tests.model.tiny_training import make_request

pytestmark = pytest.mark.gpu


@pytest.mark.timeout(TEST_SECONDS)
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"load_in_4bit": False},
        {"gradient_checkpointing": True},
        {"acceleration": "off", "batching": "fixed", "load_in_4bit": False},
        {"backend": "transformers"},
        {"backend": "transformers", "load_in_4bit": False},
        {"backend": "transformers", "load_in_4bit": False, "acceleration": "off", "batching": "dynamic"},
    ],
    ids=[
        "default",
        "default-16",
        "default-checkpointing",
        "unsloth-plain",
        "transformers-4",
        "transformers-16",
        "transformers-plain",
    ],
)
def test_it_learns_and_the_bundle_is_the_same_model_in_a_fresh_process(
    tmp_path: Path, gemma_270m_shape: Path, config: dict[str, Any]
) -> None:
    eager: dict[str, Any] = {
        "dtype": "bfloat16",
        "epochs": 6,
        "lora_learning_rate": 1e-3,
        "emotion_learning_rate": 5e-3,
    }
    request = make_request(tmp_path / "run", gemma_270m_shape, **(eager | config))
    path = tmp_path / "request.json"
    path.write_text(request.model_dump_json())
    trained = run_emomodel("train", str(path))
    progress = [parse_progress(line) for line in trained.stdout.splitlines()]
    assert isinstance(progress[-1], Result), trained.stdout[-2000:] + trained.stderr[-4000:]
    losses = [line.loss for line in progress if isinstance(line, Metric)]
    assert losses[-1] < 0.6 * losses[0]
    assert f"base model loaded by {config.get('backend', 'unsloth')}" in trained.stderr
    # A notice would report a part of the acceleration or of the output that is missing.
    assert [line for line in progress if isinstance(line, Notice)] == []

    bundle = str(pack(request.output_dir, tmp_path / "bundle.zip"))
    verified = run_emomodel("verify", bundle, "--base", str(gemma_270m_shape))
    assert verified.returncode == 0, verified.stdout + verified.stderr[-4000:]
    print(verified.stdout)

    argv = ["generate", bundle, "--base", str(gemma_270m_shape), "--prompt", "How was the concert?", "--json"]
    argv += ["--emotion", "joy=0.9", "--emotion", "sadness=0.9", "--max-new-tokens", "16", "--temperature", "0"]
    written = run_emomodel(*argv)
    assert written.returncode == 0, written.stderr[-4000:]
    texts = {line["emotion"]: line["text"] for line in map(json.loads, written.stdout.splitlines())}
    assert texts["joy=0.9"] != texts["sadness=0.9"]


@pytest.mark.timeout(TEST_SECONDS)
def test_a_model_that_unsloth_cannot_load_is_loaded_by_transformers(tmp_path: Path, tiny_gemma: Path) -> None:
    """With an Unsloth that raises when it is imported, as one does that doesn't fit the other libraries."""
    broken = tmp_path / "site" / "unsloth"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('Unsloth needs another transformers')\n")
    request = make_request(tmp_path / "run", tiny_gemma, dtype="auto", max_steps=2)
    path = tmp_path / "request.json"
    path.write_text(request.model_dump_json())
    trained = run_emomodel("train", str(path), first_on_path=broken.parent)
    progress = [parse_progress(line) for line in trained.stdout.splitlines()]
    assert isinstance(progress[-1], Result), trained.stdout[-2000:] + trained.stderr[-4000:]
    notices = [line.message for line in progress if isinstance(line, Notice)]
    assert notices == [
        "Unsloth can't load the base model, so transformers loaded it: Unsloth needs another transformers"
    ]


@pytest.mark.timeout(TEST_SECONDS)
def test_a_folder_that_lacks_a_weight_is_refused(tmp_path: Path, tiny_gemma: Path) -> None:
    base = shutil.copytree(tiny_gemma, tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    request = make_request(tmp_path / "run", base, dtype="auto", backend="unsloth", max_steps=2)
    path = tmp_path / "request.json"
    path.write_text(request.model_dump_json())
    failure = parse_progress(run_emomodel("train", str(path)).stdout.splitlines()[-1])
    assert isinstance(failure, Failure)
    assert "layers.1.mlp.up_proj.weight" in failure.message
