"""The original project's recipe by a script of its own and emotune's training are the same training, in float32."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from benchmarks import training_proof
from benchmarks.seed_chats import tokenise
from benchmarks.seed_training import RECIPES, load_base, read_samples, train, wrap
from benchmarks.training_process import BATCH_SIZE, COMPARED, MAX_LENGTH
from benchmarks.training_start import write_weights
from emomodel.batches.order import BatchOrder
from emomodel.config import EmotionSpan, Preset, make_config
from emomodel.data.examples import parse_example
from emomodel.emotions import DEFAULT_AXES
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import Metric
from emomodel.protocol.train_request import TrainRequest
from emomodel.samples.chat import ChatFormat
from emomodel.samples.dataset import make_sample
from emomodel.training.train import run_training
from tests.model.tiny_training import ONE_THREAD, ListReporter, make_lines, make_request

pytestmark = pytest.mark.model

# Both compute in float32, in another order of operations.
TOLERANCE = 1e-5
UPDATES = 3
DIALOGUE = {
    "messages": [
        {"role": "user", "content": " I am sad. ", "emotion": {"sadness": 0.7}},
        {"role": "assistant", "content": "Why?\n", "emotion": {"interest": 0.4}},
        {"role": "user", "content": "How was <emo fear=0.2>the concert</emo>?"},
        {"role": "assistant", "content": "I <emo joy=0.9 calmness=0.5>feel happy</emo> today. "},
    ]
}


@pytest.mark.parametrize(("leads", "rule"), [(True, "lead"), (False, "token")])
def test_its_tokens_emotions_and_labels_are_emotunes(tiny_gemma: Path, leads: bool, rule: EmotionSpan) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_gemma)
    for chat in (DIALOGUE, *make_lines()):
        own = tokenise(chat, tokenizer, 1000, leads=leads)
        example = parse_example(json.dumps(chat), 1)
        theirs = make_sample(example, ChatFormat(tokenizer), DEFAULT_AXES.neutral, rule)
        assert own["input_ids"] == theirs["input_ids"]
        assert own["labels"] == theirs["labels"]
        assert own["emotion_vectors"] == [list(vector) for vector in theirs["emotion_vectors"]]


@pytest.mark.parametrize(
    ("chat", "unknown"),
    [
        ({"messages": [], "emotion": {"joy": 1}}, "emotion"),
        ({"messages": [{"role": "assistant", "content": "Hi", "train": False}]}, "train"),
        ({"messages": [{"role": "system", "content": "Be brief."}]}, "system"),
    ],
)
def test_what_it_would_leave_out_is_refused(tiny_gemma: Path, chat: dict[str, Any], unknown: str) -> None:
    with pytest.raises(ValueError, match=f"doesn't know {unknown}:"):
        tokenise(chat, AutoTokenizer.from_pretrained(tiny_gemma), MAX_LENGTH, leads=True)


def train_ours(request: TrainRequest) -> list[float]:
    reporter = ListReporter()
    run_training(request, reporter, RunRequests())
    return [line.loss for line in reporter.progress if isinstance(line, Metric)]


@pytest.mark.parametrize("passes_labels", [False, True])
@pytest.mark.parametrize(("name", "preset"), [("emotune", "default"), ("original", "original")])
def test_it_learns_as_emotune_does(
    tmp_path: Path, tiny_gemma: Path, name: str, preset: Preset, passes_labels: bool
) -> None:
    changes: dict[str, Any] = COMPARED | {
        "batching": "dynamic",
        "dtype": "float32",
        "max_length": MAX_LENGTH,
        "max_steps": UPDATES,
    }
    config = make_config(preset, changes)
    request = make_request(tmp_path / "ours", tiny_gemma).model_copy(update={"config": config})
    weights = tmp_path / "initial.safetensors"
    write_weights(weights, tiny_gemma, config)

    # At constant rates: transformers' own schedules begin with a rate of zero, emotune's don't.
    recipe = replace(RECIPES[name], schedule="constant", warmup=0.0)
    model, tokenizer = load_base(tiny_gemma, "transformers", 32)
    lengths = [1] * len(make_lines())
    order = BatchOrder(
        lengths, lengths, batch_size=BATCH_SIZE, batch_count=UPDATES, seed=config.seed, groups_by_length=False
    )
    samples = read_samples(request.dataset_path, tokenizer, recipe, [index for update in order for index in update])
    peft_model = wrap(model, recipe, weights, passes_labels=passes_labels)
    trained = train(peft_model, samples, recipe, batch_size=BATCH_SIZE, in_float32=True)
    assert len(trained.losses) == UPDATES
    assert trained.losses == pytest.approx(train_ours(request), rel=TOLERANCE)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path, tiny_gemma: Path) -> None:
    weights = tmp_path / "initial.safetensors"
    write_weights(weights, tiny_gemma, make_config("default", {"lora_modules": ["q_proj"]}))
    model, _ = load_base(tiny_gemma, "transformers", 32)
    with pytest.raises(SystemExit, match="has other weights than are trained"):
        wrap(model, RECIPES["emotune"], weights, passes_labels=False)


def test_the_comparison_runs_both_as_processes(
    tmp_path: Path, tiny_gemma: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.json"
    argv = ["training_proof", str(tiny_gemma), str(results), "--scratch", str(tmp_path / "scratch")]
    argv += ["--rows", "seed,ours", "--runs", "warm", "--updates", str(UPDATES)]
    monkeypatch.setattr(sys, "argv", argv)
    for name, value in ONE_THREAD.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        training_proof.main()
    assert end.value.code == 0, next((tmp_path / "scratch").glob("*/log.txt")).read_text()
    rows = json.loads(results.read_text())["rows"]
    seed, ours = rows["seed"]["warm"], rows["ours"]["warm"]
    assert len(ours["losses"]) == UPDATES
    assert ours["losses"] == pytest.approx(seed["losses"], rel=TOLERANCE)
    assert seed["tokens_per_update"] == ours["tokens_per_update"]
    assert 0 < seed["import_seconds"] < seed["total_seconds"] < seed["process_seconds"]
    assert capsys.readouterr().out.splitlines()[-2].endswith("| 0.000% |")
