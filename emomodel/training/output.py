"""The output folder of a training, which is packed as a bundle."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from peft import PeftModel

from emomodel.bundles.bundle import write_manifest
from emomodel.bundles.card import CARD_FILE, make_model_card
from emomodel.bundles.manifest import (
    ADAPTER_FOLDER,
    TOKENIZER_FOLDER,
    DatasetEntry,
    Manifest,
    MetricsSummary,
    get_library_versions,
)
from emomodel.bundles.reference_prompts import REFERENCE_FILE
from emomodel.emotions import Axes
from emomodel.errors import OutputExists
from emomodel.evaluation.reference import AskedModel, make_reference
from emomodel.model.adapter_files import (
    save_adapter,
)
from emomodel.model.loading import LoadedBaseModel
from emomodel.model.notice_files import copy_notice_files
from emomodel.model.projection import get_layer_sizes
from emomodel.model.projection_files import save_projection
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.protocol.progress import METRICS_FILE, Metric, Notice, Reporter, write_metrics
from emomodel.protocol.train_request import TrainRequest
from emomodel.training.plot import plot_loss

logger = logging.getLogger(__name__)

CURVE_FILE = "loss_curve.png"


@dataclass(frozen=True)
class FinishedTraining:
    """A training that has ended well: what the output folder is made from. `metrics` include those of earlier runs."""

    request: TrainRequest
    base: LoadedBaseModel
    peft_model: PeftModel
    wrapper: EmotionalGemmaUnslothWrapper
    metrics: list[Metric]
    example_count: int


@contextmanager
def building_output(output_dir: Path) -> Iterator[Path]:
    """Yield a new folder, which is renamed to `output_dir` when the block ends, or deleted when it raises an error.

    Raises OutputExists unless `output_dir` is missing or an empty folder. The unfinished folder that a killed process
    left is deleted.
    """
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())):
        raise OutputExists(f"the output folder {output_dir} is not empty")
    partial = output_dir.with_name(f".{output_dir.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        os.replace(partial, output_dir)  # noqa: PTH105 - Path.replace is the same call; this one is known to take folders
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_output(folder: Path, training: FinishedTraining, reporter: Reporter) -> Manifest:
    """Write adapter, projection, tokenizer, metrics, curve, reference answers, notices and card, then the manifest.

    What goes wrong with notices or reference answers is reported, and the bundle is written without them.
    """
    request = training.request
    save_adapter(training.peft_model, folder / ADAPTER_FOLDER, base_model=request.base_model)
    save_projection(training.wrapper.emotion_proj_embed, folder)
    training.base.tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
    write_metrics(folder / METRICS_FILE, training.metrics)
    plot_loss(
        [metric.step for metric in training.metrics],
        [metric.loss for metric in training.metrics],
        folder / CURVE_FILE,
        title=f"{request.base_model} on {request.dataset_name}",
    )
    _write_reference(training, folder, reporter)
    notice_files = _copy_notices(request.base_model_path, folder, reporter)
    manifest = _make_manifest(training)
    (folder / CARD_FILE).write_text(make_model_card(manifest, notice_files), encoding="utf-8")
    return write_manifest(folder, manifest)


def _copy_notices(base_model_path: str, folder: Path, reporter: Reporter) -> list[str]:
    try:
        return copy_notice_files(base_model_path, folder)
    except ConnectionError as error:
        # The training is kept, and its owner learns what has to be added before the bundle is passed on.
        message = (
            f"the base model's licence files could not be fetched ({error}); add them before you pass the bundle on"
        )
        reporter.report(Notice(code="licence_files_missing", message=message))
        return []


def _write_reference(training: FinishedTraining, folder: Path, reporter: Reporter) -> None:
    """Record the trained model's answers to the reference prompts. A bundle without them is still useful."""
    model = AskedModel(
        training.wrapper,
        training.peft_model,
        training.base.tokenizer,
        Axes(training.request.axes),
        training.request.config.emotion_span,
    )
    try:
        reference = make_reference(model)
    except Exception as error:
        # Nothing that fails here is worth losing hours of training.
        logger.exception("the reference prompts can't be answered")
        message = (
            f"the bundle gets no reference prompts, so verify --base can't check it: "
            f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        )
        reporter.report(Notice(code="reference_missing", message=message))
        return
    (folder / REFERENCE_FILE).write_text(reference.model_dump_json() + "\n", encoding="utf-8")


def _make_manifest(training: FinishedTraining) -> Manifest:
    request, config, metrics = training.request, training.request.config, training.metrics
    return Manifest(
        base_model=request.base_model,
        axes=request.axes,
        hidden_size=training.base.hidden_size,
        layer_sizes=get_layer_sizes(training.wrapper.emotion_proj_embed),
        emotion_scale=config.emotion_scale,
        emotion_centered=config.emotion_centered,
        emotion_span=config.emotion_span,
        config=config,
        dataset=DatasetEntry(
            name=request.dataset_name, sha256=request.dataset_sha256, example_count=training.example_count
        ),
        metrics=MetricsSummary(
            first_loss=metrics[0].loss,
            final_loss=metrics[-1].loss,
            step_count=metrics[-1].step,
            token_count=metrics[-1].token_count,
            train_seconds=metrics[-1].elapsed_seconds,
        ),
        library_versions=get_library_versions(),
        created_at=datetime.now(UTC),
    )
