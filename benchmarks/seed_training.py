"""The original project's training: its wrapper, its collator and transformers' Trainer; nothing of emotune."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, Trainer, TrainerCallback
from transformers import TrainingArguments as Arguments
from transformers.modeling_outputs import CausalLMOutputWithPast

from benchmarks.seed_chats import AXES, IGNORED_LABEL, NEUTRAL, tokenise

MAX_LENGTH = 128
RANK = 32
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WEIGHT_DECAY = 0.01
SEED = 42
TRAINER_OPTIONS: dict[str, Any] = {
    "train_sampling_strategy": "sequential",
    "remove_unused_columns": False,
    "label_names": ["labels"],
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": [],
    "disable_tqdm": True,
}


@dataclass(frozen=True)
class Recipe:
    """What differs between the original project and emotune's default preset, apart from the weights at the start.

    `leads`, `is_centered` and `is_exact`: whether a position has the emotion of the token that it predicts, whether the
    output for neutral is subtracted, and whether the projection is computed in float32.
    """

    lora_rate: float
    emotion_rate: float
    schedule: str
    warmup: float
    scale: float
    leads: bool
    is_centered: bool
    is_exact: bool


RECIPES = {
    "original": Recipe(1e-4, 2e-3, "cosine", 0.1, scale=3.0, leads=False, is_centered=False, is_exact=False),
    "emotune": Recipe(2e-4, 2e-3, "constant", 0.0, scale=1.0, leads=True, is_centered=True, is_exact=True),
}


def load_base(folder: Path, backend: str, bits: int) -> tuple[nn.Module, Any]:
    """The base model and its tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    precision = torch.float32 if bits == 32 else torch.bfloat16
    if backend == "unsloth":
        from unsloth import FastModel

        # Unsloth's default would switch gradient checkpointing on.
        flags = {"load_in_4bit": bits == 4, "full_finetuning": False, "use_gradient_checkpointing": False}
        model, _ = FastModel.from_pretrained(str(folder), max_seq_length=MAX_LENGTH, dtype=precision, **flags)
        return model, tokenizer
    options: dict[str, Any] = {"device_map": {"": 0}} if torch.cuda.is_available() else {}
    if bits == 4:
        options["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=precision,
        )
    return AutoModelForCausalLM.from_pretrained(folder, dtype=precision, **options), tokenizer


def read_samples(data: Path, tokenizer: Any, recipe: Recipe, order: list[int]) -> list[dict[str, list[Any]]]:
    """The samples in the order in which they are trained on. The same chat is tokenised once."""
    lines = data.read_text().splitlines()
    made: dict[int, dict[str, list[Any]]] = {}
    for index in set(order):
        made[index] = tokenise(json.loads(lines[index]), tokenizer, MAX_LENGTH, leads=recipe.leads)
    return [made[index] for index in order]


def collate(samples: list[dict[str, list[Any]]]) -> dict[str, Tensor]:
    """Pad each sample to MAX_LENGTH tokens, and turn the samples' `emotion_vectors` into `emotion_vector`."""
    padding = {"input_ids": 0, "attention_mask": 0, "labels": IGNORED_LABEL, "emotion_vectors": NEUTRAL}
    rows = [sample | {"attention_mask": [1] * len(sample["input_ids"])} for sample in samples]
    batch = {
        name: torch.tensor([row[name] + [filling] * (MAX_LENGTH - len(row[name])) for row in rows])
        for name, filling in padding.items()
    }
    batch["emotion_vector"] = batch.pop("emotion_vectors")
    return batch


class Wrapper(nn.Module):
    """The base model, and the layer that adds each token's emotion to its input embedding."""

    def __init__(self, model: Any, recipe: Recipe, *, passes_labels: bool) -> None:
        super().__init__()
        hidden_size = model.config.get_text_config().hidden_size
        middle = hidden_size // 2
        self.model = model
        first, last = nn.Linear(len(AXES), middle), nn.Linear(middle, hidden_size)
        self.emotion_proj_embed = nn.Sequential(first, nn.LayerNorm(middle), nn.GELU(), last)
        for layer in (first, last):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.recipe = recipe
        self.passes_labels = passes_labels

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        emotion_vector: Tensor,
        num_items_in_batch: Any = None,
        **_: Any,
    ) -> Any:
        embeds = self.model.get_input_embeddings()(input_ids)
        embeds = (embeds + self.offset(emotion_vector)).to(embeds.dtype)
        if self.passes_labels:
            given = {"labels": labels, "num_items_in_batch": num_items_in_batch}
            return self.model(inputs_embeds=embeds, attention_mask=attention_mask, **given)
        logits = self.model(inputs_embeds=embeds, attention_mask=attention_mask).logits
        predicted, expected = logits[..., :-1, :].contiguous(), labels[..., 1:].contiguous()
        loss = nn.functional.cross_entropy(predicted.view(-1, predicted.size(-1)), expected.view(-1))
        return CausalLMOutputWithPast(loss=loss, logits=logits)  # type: ignore[arg-type]  # any tensor is taken

    def offset(self, emotion: Tensor) -> Tensor:
        """What is added to the embeddings, for emotions (..., axes)."""
        if not self.recipe.is_exact:
            offset: Tensor = self.emotion_proj_embed(emotion)
        else:
            with torch.autocast(emotion.device.type, enabled=False):
                offset = self.emotion_proj_embed(emotion)
                if self.recipe.is_centered:
                    offset = offset - self.emotion_proj_embed(torch.zeros_like(emotion[:1, :1]))
        return self.recipe.scale * offset

    def prepare_inputs_for_generation(self, *arguments: Any, **named: Any) -> Any:
        """PEFT looks this method up on the class."""
        return self.model.prepare_inputs_for_generation(*arguments, **named)


def wrap(model: Any, recipe: Recipe, initial: Path | None, *, passes_labels: bool) -> PeftModel:
    """The model to train. `initial` has a tensor for each trained parameter, under its name."""
    torch.manual_seed(SEED)
    wrapper = Wrapper(model, recipe, passes_labels=passes_labels)
    wrapper.emotion_proj_embed.to(model.device)
    lora = LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=RANK, lora_dropout=0.0, target_modules=MODULES)
    peft_model = get_peft_model(wrapper, lora)
    wrapper.emotion_proj_embed.requires_grad_(True)
    trained = {name: parameter for name, parameter in peft_model.named_parameters() if parameter.requires_grad}
    if initial is not None:
        given = load_file(initial)
        if given.keys() != trained.keys():
            raise SystemExit(
                f"{initial} has other weights than are trained: {sorted(given.keys() ^ trained.keys())[:3]}"
            )
        with torch.no_grad():
            for name, tensor in given.items():
                trained[name].copy_(tensor)
    return peft_model


@dataclass
class Trained:
    """The loss of each update, and when it was complete, in seconds from the start of the training."""

    losses: list[float] = field(default_factory=list)
    elapsed_seconds: list[float] = field(default_factory=list)
    peak_gpu_bytes: int | None = None


class Recorder(TrainerCallback):
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.trained = Trained()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:  # noqa: ARG002 - the Trainer passes them by name
        # The Trainer has waited for the loss.
        if logs and "loss" in logs:
            self.trained.losses.append(logs["loss"])
            self.trained.elapsed_seconds.append(self._clock())


def train(
    peft_model: PeftModel, samples: list[dict[str, list[Any]]], recipe: Recipe, *, batch_size: int, in_float32: bool
) -> Trained:
    """Train once on the samples, in their order."""
    has_cuda = torch.cuda.is_available()
    began = time.monotonic()
    recorder = Recorder(lambda: time.monotonic() - began)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = Trainer(
            model=peft_model,
            args=Arguments(
                output_dir=scratch,
                per_device_train_batch_size=batch_size,
                max_steps=len(samples) // batch_size,
                lr_scheduler_type=recipe.schedule,
                warmup_steps=recipe.warmup,
                bf16=has_cuda and not in_float32,
                use_cpu=not has_cuda,
                **TRAINER_OPTIONS,
            ),
            train_dataset=samples,
            data_collator=collate,
            callbacks=[recorder],
            optimizers=(make_optimizer(peft_model, recipe), None),
        )
        trainer.train()
    recorder.trained.peak_gpu_bytes = torch.cuda.max_memory_allocated() if has_cuda else None
    return recorder.trained


def make_optimizer(peft_model: PeftModel, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with a learning rate for the adapter and another one for the projection."""

    def find(word: str) -> list[nn.Parameter]:
        return [parameter for name, parameter in peft_model.named_parameters() if word in name]

    adapter = {"params": find("lora_"), "lr": recipe.lora_rate, "weight_decay": WEIGHT_DECAY}
    projection = {"params": find("emotion_proj"), "lr": recipe.emotion_rate, "weight_decay": 0.0}
    return torch.optim.AdamW([adapter, projection])


def save(peft_model: PeftModel, folder: Path) -> None:
    """Save what the original project saves: the adapter and the projection."""
    peft_model.save_pretrained(str(folder))
    wrapper: Any = peft_model.base_model.model
    torch.save(wrapper.emotion_proj_embed.state_dict(), folder / "emotion_proj.pth")
