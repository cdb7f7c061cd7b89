"""The files that ended jobs leave: log, metrics, loss curve, row report, and a bundle that passes verification."""

import functools
import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.orm import Session

from emomodel.bundles.bundle import write_manifest
from emomodel.bundles.manifest import DatasetEntry, Manifest, MetricsSummary
from emomodel.config import TrainConfig
from emomodel.insights.row_report import ReportRow, write_row_report
from emomodel.training.plot import plot_loss
from jobs.files import leftovers
from jobs.files.storage import LOG_FILE, METRICS_FILE, OUTPUT_FOLDER, ROW_REPORT_FILE, Storage
from jobs.models import Job
from jobs.runs.metrics import SampledMetric
from jobs.status import JobStatus
from tests.browser.staged.curves import Course
from tests.browser.staged.stories import Story
from worker.runs.outputs import store_bundle, store_traces

_ADAPTER_BYTES = 2_400_000
_LIGHT_ADAPTER_BYTES = 60_000


def write_outputs(
    session: Session, storage: Storage, job: Job, story: Story, metrics: Sequence[SampledMetric], *, is_light: bool
) -> None:
    """Write the run folder of each attempt, and store the artifacts of an ended job; a light one has no picture."""
    for attempt in range(1, job.attempt + 1):
        folder = storage.get_run_folder(job.id, attempt)
        folder.mkdir(parents=True, exist_ok=True)
        log = "\n".join(_make_log(job, story, metrics)) + "\n"
        (folder / LOG_FILE).write_text(log, encoding="utf-8")
    if not job.attempt or not job.status.is_final:
        return
    folder = storage.get_run_folder(job.id, job.attempt)
    lines = [metric.model_dump_json(exclude_none=True) + "\n" for metric in metrics]
    (folder / METRICS_FILE).write_text("".join(lines), encoding="utf-8")
    output = folder / OUTPUT_FOLDER
    output.mkdir(exist_ok=True)
    if not is_light and metrics:
        (output / "loss_curve.png").write_bytes(_draw_curve())
    if job.config["row_report"] and job.status is JobStatus.SUCCEEDED:
        _write_rows(folder / ROW_REPORT_FILE, job)
    artifacts = store_traces(storage, folder, job_id=job.id, attempt=job.attempt)
    if job.status is JobStatus.SUCCEEDED:
        _fill_output(output, job, story, metrics, _LIGHT_ADAPTER_BYTES if is_light else _ADAPTER_BYTES)
        artifacts.append(store_bundle(storage, folder, job_id=job.id, attempt=job.attempt))
    for artifact in artifacts:
        artifact.created_at = job.finished_at or job.created_at
    session.add_all(artifacts)
    leftovers.clear_run_folders(storage, job.id)


def _make_log(job: Job, story: Story, metrics: Sequence[SampledMetric]) -> list[str]:
    lines = [
        f"emomodel train: {job.name}, {job.base_model}, {job.dataset_name}",
        "torch 2.9, transformers 4.57, peft 0.18; device cuda (NVIDIA H200)",
        "Loading weights: 100% 340/340",
        "trainable params: 26,181,888 || all params: 1,026,067,840 || trainable%: 2.5517",
    ]
    every = max(len(metrics) // 120, 1)
    lines += [
        f"step {metric.step}/{metric.total_steps}: loss {metric.loss:.4f}, {metric.tokens_per_second:.0f} tokens/s"
        for metric in metrics[::every]
    ]
    return [*lines, *story.error_log]


@functools.cache
def _draw_curve() -> bytes:
    """Draw one picture, used for all jobs, since drawing takes longer than all the rest."""
    course = Course(seed=1, total_steps=600, steps_per_epoch=40, step_seconds=2.0)
    losses = [metric.loss for metric in course.make_metrics(1, course.total_steps)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loss_curve.png"
        plot_loss(range(1, len(losses) + 1), losses, path, title="loss")
        return path.read_bytes()


def _write_rows(path: Path, job: Job) -> None:
    chance = random.Random(job.name)
    count = int((job.dataset_report or {})["line_count"])
    rows = []
    for line in range(1, count + 1):
        loss = max(chance.gauss(1.2, 0.3), 0.2) * (3.2 if chance.random() < 0.02 else 1)
        neutral = max(loss + chance.gauss(0.3, 0.25), 0.1)
        rows.append(ReportRow(line, chance.random() < 0.1, chance.randint(8, 60), round(loss, 4), round(neutral, 4)))
    write_row_report(path, rows)


def _fill_output(folder: Path, job: Job, story: Story, metrics: Sequence[SampledMetric], adapter_bytes: int) -> None:
    """Fill an output folder with random bytes for the weights, and with a manifest that describes them correctly."""
    chance = random.Random(job.name)
    (folder / "adapter_model.safetensors").write_bytes(chance.randbytes(adapter_bytes))
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": job.config["lora_rank"]}))
    (folder / "emotion_proj.pth").write_bytes(chance.randbytes(40_000))
    (folder / "README.md").write_text(f"# {job.name}\n\nAn adapter for {job.base_model}.\n", encoding="utf-8")
    report = job.dataset_report or {}
    manifest = Manifest(
        base_model=job.base_model,
        axes=tuple(job.axes),
        hidden_size=1152,
        layer_sizes=(len(job.axes), 256, 1152),
        emotion_scale=job.config["emotion_scale"],
        emotion_centered=job.config["emotion_centered"],
        emotion_span=job.config["emotion_span"],
        config=TrainConfig.model_validate(job.config),
        dataset=DatasetEntry(
            name=job.dataset_name, sha256=job.dataset_sha256, example_count=int(report["example_count"])
        ),
        metrics=MetricsSummary(
            first_loss=metrics[0].loss,
            final_loss=metrics[-1].loss,
            step_count=story.total_steps,
            token_count=metrics[-1].token_count,
            train_seconds=story.total_steps * story.step_seconds,
        ),
        library_versions={"torch": "2.9.0", "transformers": "4.57.1", "peft": "0.18.0"},
        created_at=job.finished_at or job.created_at,
    )
    write_manifest(folder, manifest)


def make_model_folder(folder: Path, tokenizer_folder: Path, config: dict[str, object], weight_bytes: int) -> Path:
    """Make a folder that looks like a base model's, with its sizes and a tokenizer. The weights are a sparse file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    for path in tokenizer_folder.iterdir():
        if path.name.startswith(("tokenizer", "special_tokens", "chat_template")):
            (folder / path.name).write_bytes(path.read_bytes())
    with (folder / "model.safetensors").open("wb") as stream:
        stream.truncate(weight_bytes)
    return folder
