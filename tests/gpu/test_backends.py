"""The training process on CUDA with each backend: it learns, and its bundle is the same model when loaded again."""

import json
from pathlib import Path
from typing import Any

import pytest

from emomodel.bundles.bundle import pack
from emomodel.protocol.progress import Metric, Notice, Result, parse_progress
from tests.gpu.training import TEST_SECONDS, run_emomodel
from tests.model.tiny_training import make_request

pytestmark = pytest.mark.gpu


@pytest.mark.timeout(TEST_SECONDS)
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"backend": "transformers", "load_in_4bit": False},
        {"backend": "transformers", "load_in_4bit": False, "acceleration": "off", "batching": "dynamic"},
        {"backend": "transformers", "gradient_checkpointing": True},
        {"backend": "unsloth", "load_in_4bit": True},
        {"backend": "unsloth", "load_in_4bit": False, "batching": "fixed"},
    ],
    ids=[
        "default",
        "transformers-16",
        "transformers-plain",
        "transformers-4-checkpointing",
        "unsloth-4",
        "unsloth-16-fixed",
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
