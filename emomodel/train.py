"""One training, from a request to a finished output folder: PEFT on the wrapper, transformers' Trainer, progress."""

import threading
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PrinterCallback, TrainingArguments, set_seed

from emomodel.acceleration import accelerated
from emomodel.callbacks import (
    CheckpointCallback,
    EvaluationCallback,
    MetricCallback,
    StopCallback,
)
from emomodel.checkpoint_folder import METRICS_FILE, CheckpointFolder, read_metrics
from emomodel.config import TrainConfig
from emomodel.dataset import Samples
from emomodel.emotions import Axes
from emomodel.errors import ModelLoadFailed, Stopped
from emomodel.evaluation import Evaluator
from emomodel.loading import BaseModel, load_base_model
from emomodel.optimizer import make_optimizer, make_schedule
from emomodel.output import Training, building_output, write_output
from emomodel.peaks import find_peak_gpu_bytes, get_peak_host_bytes, get_peak_memory_bytes
from emomodel.progress import Metric, Notice, Phase, Plan, Reporter, Result
from emomodel.request import TrainRequest
from emomodel.row_measurement import report_rows
from emomodel.run_plan import RunPlan, make_run_plan
from emomodel.sample_loading import LoadedSamples, load_samples
from emomodel.tensors import as_tensors
from emomodel.trainer import EmotionalTrainer
from emomodel.wrapper import EmotionalGemmaUnslothWrapper, make_projection

# A model for text and images has linear layers of the same names in its vision part, which text never reaches.
_UNTRAINED_PARTS = r".*(vision_tower|vision_model|multi_modal_projector).*"
_VISION_PARTS = ("vision_tower", "vision_model")


@dataclass(frozen=True)
class EmotionalModel:
    """The model in training: `peft_model` is what runs, `wrapper` the part of it that holds the projection."""

    peft_model: PeftModel
    wrapper: EmotionalGemmaUnslothWrapper


def run_training(request: TrainRequest, reporter: Reporter, stop: threading.Event) -> Result:
    """Train and write the output folder, whole or not at all. Raises ModelError, and Stopped when `stop` was set."""
    config = request.config
    axes = Axes(request.axes)
    with building_output(request.output_dir) as folder:
        reporter.report(Phase(name="loading_model"))
        base = load_base_model(
            request.base_model_path,
            backend=config.backend,
            dtype=config.dtype,
            load_in_4bit=config.load_in_4bit,
            max_length=config.max_length,
        )
        _raise_if_stopped(stop)
        reporter.report(Phase(name="loading_dataset"))
        loaded = load_samples(request, base, axes, reporter)
        _raise_if_stopped(stop)
        model = make_emotional_model(base, config, len(axes))
        plan = make_run_plan(loaded, model.wrapper, config, pad_token_id=base.tokenizer.pad_token_id)
        reporter.report(_make_plan(loaded.training, model, plan))
        reporter.report(Phase(name="training"))
        # Without a place of their own, within the output: a killed process then leaves nothing elsewhere.
        checkpoints = CheckpointFolder(request.checkpoint_dir or folder, is_kept=bool(request.checkpoint_dir))
        checkpoints.clear_scratch()
        metrics = train(model, loaded, plan, config, reporter, stop, checkpoints)
        checkpoints.clear_scratch()
        _raise_if_stopped(stop)
        reporter.report(Phase(name="saving"))
        training = Training(request, base, model.peft_model, model.wrapper, metrics, len(loaded.training.samples))
        write_output(folder, training, reporter)
        if request.row_report_path is not None:
            report_rows(request.row_report_path, loaded, model.wrapper, config, base.tokenizer.pad_token_id, reporter)
    return Result(
        final_loss=metrics[-1].loss,
        step_count=metrics[-1].step,
        token_count=metrics[-1].token_count,
        train_seconds=metrics[-1].elapsed_seconds,
        peak_memory_bytes=get_peak_memory_bytes(),
        peak_gpu_bytes=find_peak_gpu_bytes(),
        peak_host_bytes=get_peak_host_bytes(),
    )


def make_emotional_model(base: BaseModel, config: TrainConfig, axis_count: int) -> EmotionalModel:
    """The base model in the wrapper, with fresh adapter and projection. Raises ModelLoadFailed."""
    set_seed(config.seed)
    projection = make_projection(axis_count, base.hidden_size, config.emotion_init).to(base.device)
    wrapper = EmotionalGemmaUnslothWrapper(
        base.model, projection, scale=config.emotion_scale, centered=config.emotion_centered
    )
    has_vision = any(part in name for name, _ in wrapper.named_modules() for part in _VISION_PARTS)
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,  # type: ignore[arg-type]  # any number will do: it is divided by the rank
        lora_dropout=config.lora_dropout,
        target_modules=list(config.lora_modules),
        exclude_modules=_UNTRAINED_PARTS if has_vision else None,
    )
    try:
        peft_model = get_peft_model(wrapper, lora)
    except ValueError as error:
        raise ModelLoadFailed(f"the adapter doesn't fit the base model; change lora_modules: {error}") from error
    # PEFT freezes all but the adapter.
    projection.requires_grad_(True)
    peft_model.print_trainable_parameters()
    return EmotionalModel(peft_model, wrapper)


def train(
    model: EmotionalModel,
    loaded: LoadedSamples,
    plan: RunPlan,
    config: TrainConfig,
    reporter: Reporter,
    stop: threading.Event,
    checkpoints: CheckpointFolder,
) -> list[Metric]:
    """Run the Trainer, from the newest checkpoint on where there is one; returns the metrics of the whole training.

    When `stop` is set it ends early. Raises LossDiverged and CheckpointUnusable.
    """
    optimizer = make_optimizer(
        [parameter for name, parameter in model.peft_model.named_parameters() if "lora_" in name],
        model.wrapper.emotion_proj_embed.parameters(),
        lora_learning_rate=config.lora_learning_rate,
        emotion_learning_rate=config.emotion_learning_rate,
        weight_decay=config.weight_decay,
    )
    schedule = make_schedule(optimizer, config.schedule, step_count=plan.step_count, warmup_ratio=config.warmup_ratio)
    newest = checkpoints.find_newest()
    progress = MetricCallback(reporter, plan.order, read_metrics(newest / METRICS_FILE) if newest else ())
    evaluations = _make_evaluations(model, loaded, plan, config, progress)
    if newest:
        reporter.report(Notice(code="resumed", message=f"the training goes on from {newest.name}"))
    trainer = EmotionalTrainer(
        order=plan.order,
        records_pass=plan.records_pass,
        on_not_recorded=lambda reason: reporter.report(_make_slow_notice(reason)),
        model=model.peft_model,
        args=_make_arguments(config, plan.step_count, checkpoints),
        data_collator=plan.collator,
        train_dataset=[as_tensors(sample) for sample in loaded.training.samples],
        callbacks=[StopCallback(stop), *evaluations, progress, CheckpointCallback(checkpoints, progress)],
        optimizers=(optimizer, schedule),
    )
    trainer.remove_callback(PrinterCallback)
    with accelerated(model.wrapper, model.peft_model) if plan.accelerates else nullcontext():
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    return progress.metrics


def _make_arguments(config: TrainConfig, step_count: int, checkpoints: CheckpointFolder) -> TrainingArguments:
    has_cuda = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(checkpoints.scratch),
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        max_steps=step_count,
        max_grad_norm=config.max_grad_norm,
        # On a CPU the adapter's few float32 products cost less than the casts.
        bf16=has_cuda and config.dtype != "float32",
        gradient_checkpointing=config.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if config.gradient_checkpointing else None,
        seed=config.seed,
        logging_steps=config.log_every,
        # A loss that is not a number must be seen, not replaced by the mean of those before.
        logging_nan_inf_filter=False,
        save_strategy="steps" if checkpoints.is_kept else "no",
        save_steps=config.checkpoint_every,
        report_to=[],
        disable_tqdm=True,
        # The Trainer would take emotion_vector, which the base model doesn't know, for a column to leave out.
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=has_cuda,
        use_cpu=not has_cuda,
    )


def _make_evaluations(
    model: EmotionalModel, loaded: LoadedSamples, plan: RunPlan, config: TrainConfig, progress: MetricCallback
) -> list[EvaluationCallback]:
    if plan.eval_every is None:
        return []
    samples = [as_tensors(sample) for sample in loaded.held_out.samples]
    evaluator = Evaluator(model.wrapper, plan.eval_collator, samples, batch_size=config.batch_size)
    return [EvaluationCallback(evaluator.sum_up, progress, every=plan.eval_every)]


def _make_slow_notice(reason: str) -> Notice:
    message = f"the passes can't be recorded as a CUDA graph, so the training is slower than it could be: {reason}"
    return Notice(code="not_recorded", message=message)


def _make_plan(samples: Samples, model: EmotionalModel, run: RunPlan) -> Plan:
    return Plan(
        total_steps=run.step_count,
        example_count=len(samples.samples),
        truncated_count=samples.truncated_count,
        target_token_count=samples.target_token_count,
        trainable_parameter_count=sum(p.numel() for p in model.peft_model.parameters() if p.requires_grad),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    )


def _raise_if_stopped(stop: threading.Event) -> None:
    if stop.is_set():
        raise Stopped("stopped on request")
