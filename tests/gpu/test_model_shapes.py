"""Llama, Qwen and Gemma for text and images on CUDA: the same training, accelerated, and with Unsloth."""

from pathlib import Path
from typing import Any

import pytest

from emomodel.protocol.progress import Metric, Notice, Result, parse_progress
from tests.gpu.training import TEST_SECONDS, run_emomodel
from tests.model.model_shapes import SHAPE_CONFIG, SHAPES, save_shape
from tests.model.tiny_training import make_request

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(TEST_SECONDS)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("backend", ["transformers", "unsloth"])
def test_other_shapes_learn(tmp_path: Path, shape: str, backend: str) -> None:
    base = save_shape(shape, tmp_path / "base")
    config: dict[str, Any] = SHAPE_CONFIG | {"dtype": "auto", "backend": backend, "load_in_4bit": False}
    request = make_request(tmp_path / "run", base, **config)
    path = tmp_path / "request.json"
    path.write_text(request.model_dump_json())
    trained = run_emomodel("train", str(path))
    progress = [parse_progress(line) for line in trained.stdout.splitlines()]
    assert isinstance(progress[-1], Result), trained.stdout[-2000:] + trained.stderr[-4000:]
    losses = [line.loss for line in progress if isinstance(line, Metric)]
    assert losses[-1] < 0.3 * losses[0]
    assert [line for line in progress if isinstance(line, Notice)] == []
    expected = "acceleration on" if backend == "transformers" else "acceleration off"
    assert expected in trained.stderr
