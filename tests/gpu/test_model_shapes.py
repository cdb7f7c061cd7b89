"""Base models of every supported kind on CUDA: accelerated they learn what they learn without, and with Unsloth too."""

import logging
from pathlib import Path
from typing import Any

import pytest

from emomodel.protocol.progress import Metric, Notice, Result, parse_progress
from tests.gpu.training import TEST_SECONDS, run_emomodel
from tests.model.model_shapes import SHAPE_CONFIG, SHAPES, save_shape
from tests.model.tiny_training import ListReporter, make_request

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(TEST_SECONDS)]


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
    expected = "batching dynamic, acceleration off" if shape in NOT_ACCELERATED else "batching packed, acceleration on"
    assert expected in caplog.text
    assert {line.code for line in progress if isinstance(line, Notice)} == (
        {"layers_not_adapted"} if shape in MIXTURES else set()
    )


@pytest.mark.parametrize("shape", UNSLOTH_SHAPES)
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
    assert [line for line in progress if isinstance(line, Notice)] == []
