"""Base models of every supported kind on CUDA: accelerated they learn what they learn without, and with Unsloth too."""

import logging
from pathlib import Path
from typing import Any

import pytest

from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import Metric, Notice, Progress, Result, parse_progress
from emomodel.training.train import run_training
from tests.gpu.training import TEST_SECONDS, run_emomodel
from tests.model.model_shapes import SHAPE_CONFIG, SHAPES, save_shape
from tests.model.tiny_training import ListReporter, make_request

# PyTorch warns while it compiles, and fails if a warning is turned into an error.
pytestmark = [pytest.mark.gpu, pytest.mark.timeout(TEST_SECONDS), pytest.mark.filterwarnings("default")]

# The examples of two kinds can't be packed, which the acceleration needs. Gemma 2's can, by a mask: its scores are
# soft-capped, which no attention without masks does.
NOT_ACCELERATED = {
    "gemma2": "batching packed, acceleration off",
    "gpt-oss": "batching dynamic, acceleration off",
    "qwen3.5": "batching dynamic, acceleration off",
}
MIXTURES = {"gemma4 moe", "qwen3 moe", "gpt-oss"}
CONFIG: dict[str, Any] = SHAPE_CONFIG | {"dtype": "auto", "load_in_4bit": False, "backend": "transformers"}
# The same batches at the same rates, packed or not, whether the training goes to its end or stops early.
SAME_STEPS: dict[str, Any] = {"group_by_length": False, "schedule": "constant", "warmup_ratio": 0.0}
PLAIN = {"acceleration": "off", "max_steps": 3}


def list_losses(progress: list[Progress]) -> list[float]:
    return [line.loss for line in progress if isinstance(line, Metric)]


def list_expected_notices(shape: str) -> list[str]:
    return ["layers_not_adapted"] if shape in MIXTURES else []


def train(folder: Path, base: Path, **config: Any) -> list[Progress]:
    reporter = ListReporter()
    run_training(make_request(folder, base, **(CONFIG | SAME_STEPS | config)), reporter, RunRequests())
    return reporter.progress


@pytest.mark.parametrize("shape", SHAPES)
def test_an_accelerated_training_learns_as_a_plain_one(
    tmp_path: Path, shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    base = save_shape(shape, tmp_path / "base")
    plain = list_losses(train(tmp_path / "plain", base, **PLAIN))
    with caplog.at_level(logging.INFO, logger="emomodel"):
        progress = train(tmp_path / "accelerated", base)
    losses = list_losses(progress)
    # Both round to 16 bits, each in its own order.
    assert losses[: len(plain)] == pytest.approx(plain, rel=0.03)
    assert losses[-1] < losses[0] / 3
    assert NOT_ACCELERATED.get(shape, "batching packed, acceleration on") in caplog.text
    assert {line.code for line in progress if isinstance(line, Notice)} == set(list_expected_notices(shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_they_learn_with_unsloth(tmp_path: Path, shape: str) -> None:
    base = save_shape(shape, tmp_path / "base")
    request = make_request(tmp_path / "run", base, **(CONFIG | {"backend": "unsloth"}))
    path = tmp_path / "request.json"
    path.write_text(request.model_dump_json())
    trained = run_emomodel("train", str(path))
    progress = [parse_progress(line) for line in trained.stdout.splitlines()]
    assert isinstance(progress[-1], Result), trained.stdout[-2000:] + trained.stderr[-4000:]
    losses = list_losses(progress)
    assert losses[-1] < 0.3 * losses[0]
    assert [line.code for line in progress if isinstance(line, Notice)] == list_expected_notices(shape)
