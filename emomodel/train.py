"""One training, from a request to a finished output folder: PEFT on the wrapper, transformers' Trainer, progress."""

import hashlib
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from emomodel.callbacks import MetricCallback, StopCallback, get_peak_memory_bytes
from emomodel.chat import ChatError, ChatFormat
from emomodel.collator import DataCollatorForEmotionalGemma
from emomodel.config import TrainConfig
from emomodel.dataset import Samples, make_samples
from emomodel.emotions import Axes
from emomodel.errors import DatasetRefused, ModelLoadFailed, NoTargets, Stopped
from emomodel.examples import read_examples
from emomodel.loading import BaseModel, load_base_model
from emomodel.optimizer import count_steps, make_optimizer, make_schedule
from emomodel.output import Training, building_output, write_output
from emomodel.problems import DatasetInvalid
from emomodel.progress import Metric, Notice, Phase, Plan, Reporter, Result
from emomodel.request import TrainRequest
from emomodel.wrapper import EmotionalGemmaUnslothWrapper, make_projection

# A model for text and images has linear layers of the same names in its vision part, which text never reaches.
_UNTRAINED_PARTS = r".*(vision_tower|vision_model|multi_modal_projector).*"
_VISION_PARTS = ("vision_tower", "vision_model")
_LISTED_LINES = 10
SCRATCH_FOLDER = "trainer"


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
        samples = load_samples(request, base, axes, reporter)
        _raise_if_stopped(stop)
        model = make_emotional_model(base, config, len(axes))
        reporter.report(_make_plan(samples, model, config))
        reporter.report(Phase(name="training"))
        # Within the output until that is whole: a killed process then leaves nothing elsewhere.
        scratch = folder / SCRATCH_FOLDER
        metrics = train(model, samples, base, config, len(axes), reporter, stop, scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        _raise_if_stopped(stop)
        reporter.report(Phase(name="saving"))
        training = Training(request, base, model.peft_model, model.wrapper, metrics, len(samples.samples))
        write_output(folder, training, reporter)
    return Result(
        final_loss=metrics[-1].loss,
        step_count=metrics[-1].step,
        token_count=metrics[-1].token_count,
        train_seconds=metrics[-1].elapsed_seconds,
        peak_memory_bytes=get_peak_memory_bytes(),
    )


def load_samples(request: TrainRequest, base: BaseModel, axes: Axes, reporter: Reporter) -> Samples:
    """The dataset as samples; what was cut is reported. Raises DatasetRefused, NoTargets, ModelLoadFailed."""
    config = request.config
    _check_dataset_file(request)
    try:
        chat_format = ChatFormat(base.tokenizer)
        samples = make_samples(
            read_examples(request.dataset_path, axes),
            chat_format,
            neutral=axes.neutral,
            rule=config.emotion_span,
            max_length=config.max_length,
            fixed_pad_id=base.tokenizer.pad_token_id if config.batching == "fixed" else None,
        )
    except DatasetInvalid as error:
        raise DatasetRefused(str(error)) from error
    except ChatError as error:
        raise ModelLoadFailed(str(error)) from error
    for notice in _make_notices(samples, config.max_length):
        reporter.report(notice)
    if not samples.samples:
        raise NoTargets(
            f"no example has a reply within its first {config.max_length} tokens; raise max_length or shorten prompts"
        )
    return samples


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
    samples: Samples,
    base: BaseModel,
    config: TrainConfig,
    axis_count: int,
    reporter: Reporter,
    stop: threading.Event,
    scratch: Path,
) -> list[Metric]:
    """Run the Trainer, which may write to the folder `scratch`; returns the metrics reported.

    When `stop` is set it ends early. Raises LossDiverged.
    """
    progress = MetricCallback(reporter)
    optimizer = make_optimizer(
        [parameter for name, parameter in model.peft_model.named_parameters() if "lora_" in name],
        model.wrapper.emotion_proj_embed.parameters(),
        lora_learning_rate=config.lora_learning_rate,
        emotion_learning_rate=config.emotion_learning_rate,
        weight_decay=config.weight_decay,
    )
    step_count = _count_steps(samples, config)
    schedule = make_schedule(optimizer, config.schedule, step_count=step_count, warmup_ratio=config.warmup_ratio)
    trainer = Trainer(
        model=model.peft_model,
        args=_make_arguments(config, step_count, str(scratch)),
        data_collator=DataCollatorForEmotionalGemma(base.tokenizer.pad_token_id, axis_count),
        train_dataset=samples.samples,
        callbacks=[StopCallback(stop), progress],
        optimizers=(optimizer, schedule),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return progress.metrics


def _make_arguments(config: TrainConfig, step_count: int, scratch: str) -> TrainingArguments:
    has_cuda = torch.cuda.is_available()
    groups_by_length = config.group_by_length and config.batching == "dynamic"
    return TrainingArguments(
        output_dir=scratch,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        max_steps=step_count,
        max_grad_norm=config.max_grad_norm,
        train_sampling_strategy="group_by_length" if groups_by_length else "random",
        gradient_checkpointing=config.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if config.gradient_checkpointing else None,
        seed=config.seed,
        logging_steps=config.log_every,
        # A loss that is not a number must be seen, not replaced by the mean of those before.
        logging_nan_inf_filter=False,
        include_num_input_tokens_seen="non_padding",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        # The Trainer would take emotion_vector, which the base model doesn't know, for a column to leave out.
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=has_cuda,
        use_cpu=not has_cuda,
    )


def _count_steps(samples: Samples, config: TrainConfig) -> int:
    return count_steps(
        len(samples.samples),
        batch_size=config.batch_size,
        gradient_accumulation=config.gradient_accumulation,
        epochs=config.epochs,
        max_steps=config.max_steps,
    )


def _make_plan(samples: Samples, model: EmotionalModel, config: TrainConfig) -> Plan:
    return Plan(
        total_steps=_count_steps(samples, config),
        example_count=len(samples.samples),
        truncated_count=samples.truncated_count,
        target_token_count=samples.target_token_count,
        trainable_parameter_count=sum(p.numel() for p in model.peft_model.parameters() if p.requires_grad),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    )


def _make_notices(samples: Samples, max_length: int) -> list[Notice]:
    notices = []
    if samples.truncated_count:
        message = f"{samples.truncated_count} examples are longer than max_length={max_length} tokens and were cut"
        notices.append(Notice(code="examples_truncated", message=message))
    if samples.dropped_lines:
        lines = ", ".join(map(str, samples.dropped_lines[:_LISTED_LINES]))
        more = ", ..." if len(samples.dropped_lines) > _LISTED_LINES else ""
        message = (
            f"{len(samples.dropped_lines)} examples have no reply within max_length={max_length} tokens "
            f"and were left out: lines {lines}{more}"
        )
        notices.append(Notice(code="examples_dropped", message=message))
    return notices


def _check_dataset_file(request: TrainRequest) -> None:
    """Raises DatasetRefused when the file is missing, or is not the one that the manifest will name."""
    if not request.dataset_path.is_file():
        raise DatasetRefused(f"the dataset file {request.dataset_path} does not exist; upload the dataset again")
    with request.dataset_path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != request.dataset_sha256:
            raise DatasetRefused("the dataset file has changed since the job was made; upload the dataset again")


def _raise_if_stopped(stop: threading.Event) -> None:
    if stop.is_set():
        raise Stopped("stopped on request")
