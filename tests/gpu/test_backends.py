"""The training process on CUDA, with each backend: it learns, and its bundle speaks in a fresh process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from emomodel.bundle import pack
from emomodel.progress import Metric, Result, parse_progress
from tests.model.tiny_training import REPOSITORY, make_request, start_training

pytestmark = pytest.mark.gpu

# A first step with Unsloth imports and compiles for a minute and more.
TIMEOUT_SECONDS = 400


@pytest.fixture(scope="session")
def gemma_270m_shape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gemma 3 270M's layers with random weights and the tiny model's tokenizer, made in a process of its own.

    Unsloth has to be imported before transformers, so nothing here may import it.
    """
    folder = tmp_path_factory.mktemp("base") / "gemma-270m-shape"
    argv = [sys.executable, "-m", "tests.gpu.make_gemma_270m_shape", str(folder)]
    subprocess.run(argv, check=True, cwd=REPOSITORY)
    return folder


@pytest.mark.timeout(TIMEOUT_SECONDS)
@pytest.mark.parametrize(
    ("backend", "load_in_4bit"),
    [("transformers", False), ("transformers", True), ("unsloth", True), ("unsloth", False)],
)
def test_it_learns_and_the_bundle_speaks(
    tmp_path: Path, gemma_270m_shape: Path, backend: str, load_in_4bit: bool
) -> None:
    request = make_request(
        tmp_path / "run",
        gemma_270m_shape,
        backend=backend,
        load_in_4bit=load_in_4bit,
        dtype="bfloat16",
        epochs=6,
        # One shape for all steps: Unsloth compiles anew for each length, which took four minutes for 30 short steps.
        batching="fixed",
        lora_learning_rate=1e-3,
        emotion_learning_rate=5e-3,
    )
    output, log = start_training(request).communicate(timeout=TIMEOUT_SECONDS)
    progress = [parse_progress(line) for line in output.splitlines()]
    assert isinstance(progress[-1], Result), output + log[-4000:]
    losses = [line.loss for line in progress if isinstance(line, Metric)]
    assert losses[-1] < 0.6 * losses[0]

    bundle = pack(request.output_dir, tmp_path / "bundle.zip")
    argv = ["generate", str(bundle), "--base", str(gemma_270m_shape), "--prompt", "How was the concert?", "--json"]
    argv += ["--emotion", "joy=0.9", "--emotion", "sadness=0.9", "--max-new-tokens", "16", "--temperature", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "emomodel", *argv], cwd=REPOSITORY, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    texts = {line["emotion"]: line["text"] for line in map(json.loads, done.stdout.splitlines())}
    assert texts["joy=0.9"] != texts["sadness=0.9"]
