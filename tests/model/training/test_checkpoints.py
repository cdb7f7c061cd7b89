"""Checkpoints: which are kept, what they record, and what happens when one is damaged or can't be saved."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from emomodel.checkpoints.index import INDEX_FILE, list_checkpoints, write_index
from emomodel.errors import LossDiverged, Stopped
from emomodel.protocol.progress import CHECKPOINT_REQUEST, SAVE_AND_STOP_REQUEST, STOP_REQUEST, Metric
from emomodel.training.train import run_training
from tests.model.training.resuming import (
    HELD_OUT,
    STEPS,
    AskingReporter,
    finish,
    interrupt,
    list_names,
    list_notices,
    list_saved,
    make,
    summarise,
)

pytestmark = pytest.mark.model


def test_the_last_two_checkpoints_are_kept_and_one_that_was_cut_off_is_not_taken(
    tmp_path: Path, tiny_gemma: Path
) -> None:
    request = make(tmp_path, tiny_gemma, checkpoint_every=2)
    interrupt(request, after=7)
    assert list_names(request) == ["checkpoint-4", "checkpoint-6"]
    assert request.checkpoint_dir is not None
    cut_off = request.checkpoint_dir / ".partial" / "checkpoint-8"
    cut_off.mkdir(parents=True)
    (cut_off / "trained.safetensors").write_bytes(b"half")
    metrics, reporter = finish(request)
    assert [line.step for line in reporter.progress if isinstance(line, Metric)] == [7, 8, 9]
    assert len(metrics) == STEPS
    # The last step is saved too, so that a failure while the bundle is made costs no training.
    assert list_names(request) == ["checkpoint-8", "checkpoint-9"]


def test_a_checkpoint_records_the_loss_that_was_measured_at_its_step(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make(tmp_path, tiny_gemma, **HELD_OUT).model_copy(update={"checkpoints_kept": 4})
    metrics, _ = finish(request)
    assert request.checkpoint_dir is not None
    found = {checkpoint.step: checkpoint.eval_loss for checkpoint in list_checkpoints(request.checkpoint_dir)}
    assert found == {3: None, 6: metrics[5].eval_loss, 9: metrics[8].eval_loss}
    assert None not in (found[6], found[9])


def test_a_checkpoint_of_another_config_is_reported_and_left_alone(tmp_path: Path, tiny_gemma: Path) -> None:
    interrupt(make(tmp_path, tiny_gemma), after=4)
    request = make(tmp_path, tiny_gemma, lora_rank=4)
    metrics, reporter = finish(request)
    assert [code for code, _ in list_notices(reporter)] == ["checkpoint_unusable", "began_anew"]
    assert list_notices(reporter)[0][1].startswith("checkpoint-3 does not belong to this training")
    assert len(metrics) == STEPS
    assert list_names(request) == ["checkpoint-6", "checkpoint-9"]


def _garble(path: Path) -> None:
    content = bytearray((path / "optimizer.pt").read_bytes())
    content[random.Random(1).randrange(len(content))] ^= 1  # noqa: S311 - any byte will do
    (path / "optimizer.pt").write_bytes(content)


def _cut(path: Path) -> None:
    (path / "trained.safetensors").write_bytes(b"half")


def _take_index(path: Path) -> None:
    (path / INDEX_FILE).unlink()


def _take_all(path: Path) -> None:
    shutil.rmtree(path)


def _make_of_another_version(path: Path) -> None:
    (checkpoint,) = [found for found in list_checkpoints(path.parent) if found.path == path]
    (path / INDEX_FILE).unlink()
    (path / "log_window.json").write_text('{"pane": 1}')
    write_index(path, step=checkpoint.step, course=checkpoint.course, eval_loss=None)


@pytest.mark.parametrize("damage", [_garble, _cut, _take_index, _take_all, _make_of_another_version])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_used(
    tmp_path: Path, tiny_gemma: Path, damage: Callable[[Path], None]
) -> None:
    whole, _ = finish(make(tmp_path / "whole", tiny_gemma))
    first = make(tmp_path / "first", tiny_gemma)
    interrupt(first, after=7)
    assert first.checkpoint_dir is not None
    paths = (first.checkpoint_dir / "checkpoint-6", first.checkpoint_dir / "checkpoint-3")
    damage(paths[0])
    second = make(tmp_path / "second", tiny_gemma).model_copy(update={"resume_from": paths})
    parts, reporter = finish(second)
    assert [code for code, _ in list_notices(reporter)] == ["checkpoint_unusable", "resumed"]
    assert "checkpoint-6" in list_notices(reporter)[0][1]
    assert summarise(parts) == summarise(whole)


def test_with_no_usable_checkpoint_the_training_starts_again(tmp_path: Path, tiny_gemma: Path) -> None:
    whole, _ = finish(make(tmp_path / "whole", tiny_gemma))
    first = make(tmp_path / "first", tiny_gemma)
    interrupt(first, after=7)
    assert first.checkpoint_dir is not None
    for step in (3, 6):
        _garble(first.checkpoint_dir / f"checkpoint-{step}")
    parts, reporter = finish(first)
    codes = [code for code, _ in list_notices(reporter)]
    assert codes == ["checkpoint_unusable", "checkpoint_unusable", "began_anew"]
    assert summarise(parts) == summarise(whole)


@pytest.mark.parametrize("by", [SAVE_AND_STOP_REQUEST, CHECKPOINT_REQUEST, STOP_REQUEST])
def test_a_full_disk_costs_the_checkpoint_and_not_the_training(tmp_path: Path, tiny_gemma: Path, by: str) -> None:
    request = make(tmp_path, tiny_gemma).model_copy(update={"min_free_bytes": 10 << 20})
    # After the first time there is a little more space than must stay free, but too little for a checkpoint.
    free = iter([1 << 30])
    reporter = AskingReporter(5, by)
    options: dict[str, Any] = {"free_bytes": lambda _: next(free, (10 << 20) + 1000)}
    if by == CHECKPOINT_REQUEST:
        run_training(request, reporter, reporter.requests, **options)
    else:
        with pytest.raises(Stopped):
            run_training(request, reporter, reporter.requests, **options)
    # There is space for the first one, after step 3.
    assert list_saved(reporter) == [(3, "schedule")]
    assert list_names(request) == ["checkpoint-3"]
    messages = [message for code, message in list_notices(reporter) if code == "checkpoint_failed"]
    expected = {SAVE_AND_STOP_REQUEST: 1, CHECKPOINT_REQUEST: 3, STOP_REQUEST: 0}
    assert len(messages) == expected[by]
    for message in messages:
        assert "too little space" in message
        assert "10.0 MiB that have to stay free, and 10.0 MiB are free" in message
    if by == SAVE_AND_STOP_REQUEST:
        assert messages[0].endswith("the next run resumes from the last one, of step 3")


def test_a_checkpoint_is_not_saved_of_a_loss_that_is_no_number(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make(tmp_path, tiny_gemma, log_every=100, checkpoint_every=1)
    broken = tmp_path / "broken"
    shutil.copytree(tiny_gemma, broken)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"][0] = torch.nan
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LossDiverged, match="by step 1"):
        finish(request.model_copy(update={"base_model_path": str(broken)}))
    assert not list((tmp_path / "checkpoints").rglob("checkpoint-*"))
