"""Runs transformers' Trainer on a plan: from the newest usable checkpoint to the end of the training, or to a stop."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from emomodel.batches.collator import as_tensors
from emomodel.checkpoints.course import digest_course
from emomodel.checkpoints.folder import CheckpointFolder
from emomodel.checkpoints.index import PARTIAL_FOLDER, CheckpointInfo
from emomodel.checkpoints.saver import CheckpointSaver
from emomodel.config import TrainConfig
from emomodel.errors import Stopped
from emomodel.evaluation.losses import Evaluator
from emomodel.model.prepare import EmotionalModel
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import Metric, Notice, Reporter
from emomodel.protocol.train_request import TrainRequest
from emomodel.training.acceleration import accelerated
from emomodel.training.callbacks import EvaluationCallback, MetricCallback
from emomodel.training.checkpoint_callback import CheckpointCallback, StopCallback
from emomodel.training.checkpoint_content import estimate_checkpoint_bytes
from emomodel.training.optimizer import make_optimizer, make_schedule
from emomodel.training.resuming import Start, find_start
from emomodel.training.run_plan import RunPlan
from emomodel.training.sample_loading import LoadedSamples
from emomodel.training.trainer import EmotionalTrainer


@dataclass(frozen=True)
class Surroundings:
    """What a training works with: where it reports and is asked, the free space of a disk, and a folder for scratch."""

    reporter: Reporter
    requests: RunRequests
    free_bytes: Callable[[Path], int]
    scratch: Path


@dataclass(frozen=True)
class _Callbacks:
    """`evaluations` is empty where nothing is held out, `checkpoints` where there is no folder for them."""

    progress: MetricCallback
    evaluations: list[EvaluationCallback]
    checkpoints: list[CheckpointCallback]


def train(
    request: TrainRequest, model: EmotionalModel, loaded: LoadedSamples, plan: RunPlan, surroundings: Surroundings
) -> list[Metric]:
    """Train, and return the metrics of the whole training, those of earlier runs included.

    A training that is asked during its last step to save and stop finishes instead. Raises LossDiverged, and Stopped
    when the training was asked to stop before that.
    """
    course = digest_course(request, batching=plan.batching)
    start = find_start(request.checkpoint_dir, request.resume_from, model.peft_model, course, surroundings.reporter)
    callbacks = _make_callbacks(request, model, loaded, plan, course, start, surroundings)
    # Without a folder for checkpoints nothing is written there.
    scratch = (request.checkpoint_dir or surroundings.scratch) / PARTIAL_FOLDER
    trainer = _make_trainer(request.config, model, loaded, plan, start, callbacks, surroundings, scratch)
    try:
        with accelerated(model.wrapper, model.peft_model) if plan.accelerates else nullcontext():
            trainer.train(resume_from_checkpoint=str(start.checkpoint.path) if start.checkpoint else None)
    finally:
        # The Trainer makes this folder whether or not anything is saved.
        shutil.rmtree(scratch, ignore_errors=True)
    if surroundings.requests.is_dropped or trainer.state.global_step < plan.step_count:
        raise Stopped("stopped on request")
    return callbacks.progress.metrics


def _make_callbacks(
    request: TrainRequest,
    model: EmotionalModel,
    loaded: LoadedSamples,
    plan: RunPlan,
    course: str,
    start: Start,
    surroundings: Surroundings,
) -> _Callbacks:
    progress = MetricCallback(
        surroundings.reporter,
        plan.order,
        step_count=plan.step_count,
        batches_per_step=request.config.gradient_accumulation,
        window=start.window,
        earlier=start.metrics,
    )
    return _Callbacks(
        progress,
        _make_evaluations(model, loaded, plan, request.config, progress, surroundings.requests),
        _make_checkpoints(request, model, course, start.checkpoint, progress, surroundings),
    )


def _make_trainer(
    config: TrainConfig,
    model: EmotionalModel,
    loaded: LoadedSamples,
    plan: RunPlan,
    start: Start,
    callbacks: _Callbacks,
    surroundings: Surroundings,
    scratch: Path,
) -> EmotionalTrainer:
    reporter, requests = surroundings.reporter, surroundings.requests

    def catch_up() -> None:
        for evaluation in callbacks.evaluations:
            evaluation.measure(lambda: requests.is_stopping)

    ordered: list[TrainerCallback] = [
        *callbacks.evaluations,
        callbacks.progress,
        StopCallback(requests),
        *callbacks.checkpoints,
    ]
    trainer = EmotionalTrainer(
        order=plan.order,
        records_updates=plan.records_updates,
        on_not_recorded=lambda reason: reporter.report(_make_slow_notice(reason)),
        progress=callbacks.progress,
        checkpoints=callbacks.checkpoints,
        window=start.window,
        catch_up=catch_up,
        on_step=reporter.note_step,
        model=model.peft_model,
        args=_make_arguments(config, plan.step_count, scratch),
        data_collator=plan.collator,
        train_dataset=[as_tensors(sample) for sample in loaded.training.samples],
        callbacks=ordered,
        optimizers=_make_optimizers(model, config, plan.step_count),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _make_optimizers(
    model: EmotionalModel, config: TrainConfig, step_count: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    optimizer = make_optimizer(
        [parameter for name, parameter in model.peft_model.named_parameters() if "lora_" in name],
        model.wrapper.emotion_proj_embed.parameters(),
        lora_learning_rate=config.lora_learning_rate,
        emotion_learning_rate=config.emotion_learning_rate,
        weight_decay=config.weight_decay,
    )
    schedule = make_schedule(optimizer, config.schedule, step_count=step_count, warmup_ratio=config.warmup_ratio)
    return optimizer, schedule


def _make_evaluations(
    model: EmotionalModel,
    loaded: LoadedSamples,
    plan: RunPlan,
    config: TrainConfig,
    progress: MetricCallback,
    requests: RunRequests,
) -> list[EvaluationCallback]:
    if plan.eval_every is None:
        return []
    samples = [as_tensors(sample) for sample in loaded.held_out.samples]
    evaluator = Evaluator(model.wrapper, plan.eval_collator, samples, batch_size=config.batch_size)
    return [EvaluationCallback(evaluator.sum_up, progress, requests, every=plan.eval_every)]


def _make_checkpoints(
    request: TrainRequest,
    model: EmotionalModel,
    course: str,
    resumed: CheckpointInfo | None,
    progress: MetricCallback,
    surroundings: Surroundings,
) -> list[CheckpointCallback]:
    if request.checkpoint_dir is None:
        return []
    folder = CheckpointFolder(
        request.checkpoint_dir, course=course, kept_count=request.checkpoints_kept, keeps_best=request.keep_best
    )
    folder.clear_scratch()
    saver = CheckpointSaver(
        folder,
        surroundings.reporter,
        expected_bytes=resumed.size_bytes if resumed else estimate_checkpoint_bytes(model.peft_model),
        min_free_bytes=request.min_free_bytes,
        free_bytes=surroundings.free_bytes,
        resumed_step=resumed.step if resumed else None,
    )
    every = request.config.checkpoint_every
    return [CheckpointCallback(surroundings.requests, progress, saver, folder.scratch, every=every)]


def _make_arguments(config: TrainConfig, step_count: int, scratch: Path) -> TrainingArguments:
    has_cuda = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(scratch),
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        max_steps=step_count,
        max_grad_norm=config.max_grad_norm,
        # On a CPU the few float32 products of the adapter cost less than casting them to bfloat16 would.
        bf16=has_cuda and config.dtype != "float32",
        gradient_checkpointing=config.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if config.gradient_checkpointing else None,
        seed=config.seed,
        logging_steps=config.log_every,
        # The Trainer would replace a loss that is not a number by the mean of those before it, and hide it.
        logging_nan_inf_filter=False,
        # CheckpointCallback decides when.
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        # The Trainer would remove emotion_vector, since the base model's forward() has no such argument.
        remove_unused_columns=False,
        label_names=["labels"],
        # With both, a batch is copied to the GPU while it works on those before.
        dataloader_pin_memory=has_cuda,
        accelerator_config={"non_blocking": has_cuda},
        use_cpu=not has_cuda,
    )


def _make_slow_notice(reason: str) -> Notice:
    message = f"the updates can't be recorded as CUDA graphs, so the training is slower than it could be: {reason}"
    return Notice(code="not_recorded", message=message)
