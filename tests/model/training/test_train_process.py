"""The training process as its supervisor sees it: lines, exit codes, and the output folder."""

import json
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from emomodel.emotions import DEFAULT_AXES
from emomodel.errors import (
    DatasetChanged,
    DatasetRefused,
    LossDiverged,
    ModelError,
    ModelLoadFailed,
    NoTargets,
    OutputExists,
)
from emomodel.model.loading import load_base_model
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import (
    EXIT_FAILED,
    EXIT_ORPHANED,
    EXIT_STOPPED,
    Failure,
    Metric,
    Notice,
    Phase,
    Plan,
    Result,
    parse_progress,
)
from emomodel.training.sample_loading import load_samples
from emomodel.training.train import run_training
from tests.model.tiny_training import ListReporter, Trained, make_lines, make_request, start_training

pytestmark = pytest.mark.model

EXPECTED_FILES = {
    "NOTICE",
    "README.md",
    "adapter/adapter_config.json",
    "adapter/adapter_model.safetensors",
    "bundle.json",
    "emotion_proj.pth",
    "emotion_proj.safetensors",
    "loss_curve.png",
    "metrics.jsonl",
    "reference.json",
    "tokenizer/chat_template.jinja",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
}


def test_output_is_exactly_the_file_set(trained: Trained) -> None:
    files = {path.relative_to(trained.folder).as_posix() for path in trained.folder.rglob("*") if path.is_file()}
    assert files == EXPECTED_FILES
    assert [path.name for path in trained.folder.parent.iterdir() if path.name.startswith(".")] == []


def test_stdout_holds_progress_only_and_the_rest_goes_to_the_log(trained: Trained) -> None:
    phases = [line.name for line in trained.progress if isinstance(line, Phase)]
    assert phases == ["importing", "loading_model", "loading_dataset", "training", "saving"]
    assert isinstance(trained.progress[-1], Result)
    assert "trainable params" in trained.log


def test_the_plan_reports_steps_examples_and_sizes(trained: Trained) -> None:
    (plan,) = [line for line in trained.progress if isinstance(line, Plan)]
    assert (plan.total_steps, plan.example_count, plan.truncated_count, plan.device) == (40, 36, 0, "cpu")
    # Rank 8 on seven linear layers of two blocks; projection 8 -> 32 -> norm -> 64.
    lora = 2 * 8 * ((64 + 64) + 2 * (64 + 32) + (64 + 64) + 3 * (64 + 128))
    projection = (8 * 32 + 32) + 2 * 32 + (32 * 64 + 64)
    assert plan.trainable_parameter_count == lora + projection


def test_loss_falls_and_metrics_are_whole(trained: Trained) -> None:
    metrics = [line for line in trained.progress if isinstance(line, Metric)]
    assert [metric.step for metric in metrics] == list(range(1, 41))
    assert metrics[-1].loss < metrics[0].loss / 3
    assert metrics[10].emotion_learning_rate == pytest.approx(2 * metrics[10].lora_learning_rate)
    assert metrics[-1].eta_seconds == 0
    assert metrics[-1].memory_bytes > 50 << 20
    kept = [parse_progress(line) for line in (trained.folder / "metrics.jsonl").read_text().splitlines()]
    assert kept == metrics


def test_tokens_are_counted_without_padding(trained: Trained, tiny_gemma: Path) -> None:
    base = load_base_model(str(tiny_gemma), backend="auto", dtype="float32", load_in_4bit=None, max_length=64)
    samples = load_samples(trained.request, base, DEFAULT_AXES, ListReporter()).training
    result = trained.progress[-1]
    assert isinstance(result, Result)
    assert result.token_count == 8 * samples.token_count


def test_adapter_config_names_the_base_model(trained: Trained) -> None:
    config = json.loads((trained.folder / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny-gemma"
    assert config["task_type"] == "CAUSAL_LM"


def test_curve_is_a_picture(trained: Trained) -> None:
    assert (trained.folder / "loss_curve.png").read_bytes().startswith(b"\x89PNG\r\n")


def _read_until_metric(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if isinstance(parse_progress(line), Metric):
            return
    raise AssertionError("the process ended before its first metric")


@pytest.fixture(scope="module")
def long_running(
    tmp_path_factory: pytest.TempPathFactory, tiny_gemma: Path
) -> Iterator[list[tuple[Path, subprocess.Popen[str]]]]:
    """Three trainings that would take minutes, started together because most of their time is imports."""
    with ExitStack() as stack:
        processes = []
        for _ in range(3):
            folder = tmp_path_factory.mktemp("long")
            process = start_training(make_request(folder, tiny_gemma, epochs=1000), "--supervised")
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append((folder, process))
        yield processes


def _finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code and the last line. A watchdog kills a process that ignores its request."""
    watchdog = threading.Timer(20, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        rest = process.stdout.read()
        process.stderr.read()
        return process.wait(), rest
    finally:
        watchdog.cancel()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_stop_request_ends_after_the_step_without_output(
    long_running: list[tuple[Path, subprocess.Popen[str]]],
) -> None:
    folder, process = long_running[0]
    _read_until_metric(process)
    assert process.stdin is not None
    process.stdin.write("stop\n")
    process.stdin.flush()
    exit_code, rest = _finish(process)
    assert exit_code == EXIT_STOPPED
    assert '"result"' not in rest
    assert '"saving"' not in rest
    assert _names(folder) == ["data.jsonl", "request.json"]


def test_end_of_input_ends_the_process_at_once(long_running: list[tuple[Path, subprocess.Popen[str]]]) -> None:
    folder, process = long_running[1]
    _read_until_metric(process)
    assert process.stdin is not None
    process.stdin.close()
    exit_code, _ = _finish(process)
    assert exit_code == EXIT_ORPHANED
    assert "output" not in _names(folder)


def test_sigterm_is_a_stop_request(long_running: list[tuple[Path, subprocess.Popen[str]]]) -> None:
    folder, process = long_running[2]
    _read_until_metric(process)
    process.send_signal(signal.SIGTERM)
    exit_code, _ = _finish(process)
    assert exit_code == EXIT_STOPPED
    assert _names(folder) == ["data.jsonl", "request.json"]


def test_failure_is_the_last_line_and_exit_code_1(tmp_path: Path) -> None:
    with start_training(make_request(tmp_path, tmp_path / "nowhere")) as process:
        output, log = process.communicate(timeout=60)
    failure = parse_progress(output.splitlines()[-1])
    assert process.returncode == EXIT_FAILED
    assert isinstance(failure, Failure)
    assert failure.code == "model_load_failed"
    assert "nowhere does not exist" in failure.message
    assert "Traceback" in log


def chat(prompt: str, reply: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": reply}]}


LONG_PROMPT = "How was the concert? " * 30


@pytest.mark.parametrize(
    ("error", "lines", "words"),
    [
        (NoTargets, [chat(LONG_PROMPT, "It was fine.")], "max_length"),
        (DatasetRefused, [chat("Hi", "Hello"), {"messages": []}], "line 2"),
    ],
)
def test_a_bad_dataset_is_named(
    tmp_path: Path, tiny_gemma: Path, error: type[ModelError], lines: list[dict[str, Any]], words: str
) -> None:
    request = make_request(tmp_path, tiny_gemma, lines=lines)
    with pytest.raises(error, match=words):
        run_training(request, ListReporter(), RunRequests())
    assert _names(tmp_path) == ["data.jsonl"]


def test_a_changed_dataset_file_is_refused(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make_request(tmp_path, tiny_gemma)
    with request.dataset_path.open("a") as stream:
        stream.write("\n")
    with pytest.raises(DatasetChanged, match="has changed"):
        run_training(request, ListReporter(), RunRequests())


def test_what_is_cut_and_left_out_is_reported(tmp_path: Path, tiny_gemma: Path) -> None:
    long_reply = "I feel happy today. " * 30
    lines = [*make_lines()[:8], chat(LONG_PROMPT, "It was fine."), chat("Hi", long_reply)]
    request = make_request(tmp_path, tiny_gemma, lines=lines, epochs=1)
    reporter = ListReporter()
    run_training(request, reporter, RunRequests())
    notices = {line.code: line.message for line in reporter.progress if isinstance(line, Notice)}
    (plan,) = [line for line in reporter.progress if isinstance(line, Plan)]
    assert notices.keys() == {"examples_truncated", "examples_dropped"}
    assert notices["examples_dropped"].endswith("lines 9")
    assert (plan.example_count, plan.truncated_count) == (9, 2)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path, tiny_gemma: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_gemma, broken)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"][0] = torch.nan
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LossDiverged, match="at step 1"):
        run_training(make_request(tmp_path / "job", broken), ListReporter(), RunRequests())
    assert not (tmp_path / "job" / "output").exists()


def test_a_base_model_that_lacks_a_weight_is_refused(tmp_path: Path, tiny_gemma: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_gemma, broken)
    weights = load_file(broken / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelLoadFailed, match=r"lacks 1 weights: model\.layers\.1\.mlp\.up_proj"):
        run_training(make_request(tmp_path / "job", broken), ListReporter(), RunRequests())


def test_a_folder_with_files_is_never_overwritten(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make_request(tmp_path, tiny_gemma)
    request.output_dir.mkdir()
    (request.output_dir / "precious").touch()
    with pytest.raises(OutputExists):
        run_training(request, ListReporter(), RunRequests())
    assert _names(request.output_dir) == ["precious"]


def test_the_same_request_gives_the_same_losses(tmp_path: Path, tiny_gemma: Path, trained: Trained) -> None:
    reporter = ListReporter()
    run_training(make_request(tmp_path, tiny_gemma), reporter, RunRequests())
    losses = [line.loss for line in reporter.progress if isinstance(line, Metric)]
    assert losses == [line.loss for line in trained.progress if isinstance(line, Metric)]
