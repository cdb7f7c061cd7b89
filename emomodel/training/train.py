"""run_training: one training, from a request to a finished output folder. It loads, trains and writes."""

import logging
from collections.abc import Callable
from pathlib import Path

import torch

from emomodel.checkpoints.saver import find_free_bytes
from emomodel.emotions import Axes
from emomodel.model.loading import LoadedBaseModel, load_base_model
from emomodel.model.prepare import EmotionalModel, make_emotional_model
from emomodel.protocol.control import RunRequests
from emomodel.protocol.peaks import find_peak_gpu_bytes, get_peak_host_bytes, get_peak_memory_bytes
from emomodel.protocol.progress import Metric, Notice, Phase, Plan, Reporter, Result
from emomodel.protocol.train_request import TrainRequest
from emomodel.samples.dataset import Samples
from emomodel.training.loop import Surroundings, train
from emomodel.training.output import FinishedTraining, building_output, write_output
from emomodel.training.row_measurement import report_rows
from emomodel.training.run_plan import RunPlan, make_run_plan
from emomodel.training.sample_loading import load_samples, report_tokenizer_difference

logger = logging.getLogger(__name__)


def run_training(
    request: TrainRequest,
    reporter: Reporter,
    requests: RunRequests,
    *,
    free_bytes: Callable[[Path], int] = find_free_bytes,
) -> Result:
    """Train as `request` says, and write the output folder, complete or not at all.

    `requests` are polled between the phases and at each step. `free_bytes` returns the free space of the disk under a
    folder, in bytes. Raises ModelError when the training fails for a reason that its owner can understand, Stopped when
    it was asked to stop.
    """
    config = request.config
    axes = Axes(request.axes)
    with building_output(request.output_dir) as folder:
        reporter.report(Phase(name="loading_model"))
        base = _load_base_model(request)
        logger.info("base model loaded by %s", base.loaded_by)
        if base.why_not_unsloth is not None:
            reporter.report(_make_loader_notice(base.why_not_unsloth))
        requests.raise_if_stopping()
        reporter.report(Phase(name="loading_dataset"))
        loaded = load_samples(request, base, axes, reporter)
        requests.raise_if_stopping()
        model = make_emotional_model(base, config, len(axes))
        if model.adapter_gap is not None:
            reporter.report(Notice(code="layers_not_adapted", message=model.adapter_gap))
        plan = make_run_plan(loaded, model.wrapper, config, base)
        reporter.report(_make_plan(loaded.training, model, plan))
        requests.raise_if_stopping()
        reporter.report(Phase(name="training"))
        surroundings = Surroundings(reporter, requests, free_bytes, scratch=folder)
        metrics = train(request, model, loaded, plan, surroundings)
        reporter.report(Phase(name="saving"))
        count = len(loaded.training.samples)
        finished = FinishedTraining(request, base, model.peft_model, model.wrapper, metrics, count)
        write_output(folder, finished, reporter)
        report_tokenizer_difference(request, base, loaded, reporter)
        if request.row_report_path is not None:
            report_rows(request.row_report_path, loaded, model.wrapper, config, base.tokenizer.pad_token_id, reporter)
    return _make_result(metrics)


def _load_base_model(request: TrainRequest) -> LoadedBaseModel:
    config = request.config
    return load_base_model(
        request.base_model_path,
        backend=config.backend,
        dtype=config.dtype,
        load_in_4bit=config.load_in_4bit,
        max_length=config.max_length,
    )


def _make_loader_notice(reason: str) -> Notice:
    message = f"Unsloth can't load the base model, so transformers loaded it: {reason}"
    return Notice(code="unsloth_failed", message=message)


def _make_result(metrics: list[Metric]) -> Result:
    return Result(
        final_loss=metrics[-1].loss,
        step_count=metrics[-1].step,
        token_count=metrics[-1].token_count,
        train_seconds=metrics[-1].elapsed_seconds,
        peak_memory_bytes=get_peak_memory_bytes(),
        peak_gpu_bytes=find_peak_gpu_bytes(),
        peak_host_bytes=get_peak_host_bytes(),
    )


def _make_plan(samples: Samples, model: EmotionalModel, run: RunPlan) -> Plan:
    return Plan(
        total_steps=run.step_count,
        example_count=len(samples.samples),
        truncated_count=samples.truncated_count,
        target_token_count=samples.target_token_count,
        trainable_parameter_count=sum(p.numel() for p in model.peft_model.parameters() if p.requires_grad),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    )
