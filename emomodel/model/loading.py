"""The base model and its tokenizer, by transformers or by Unsloth's FastModel.

Nothing here asks for Gemma by name: any causal model with a chat template will do.
"""

import errno
import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from emomodel.config import Backend
from emomodel.errors import ModelLoadFailed
from emomodel.model.backend import uses_unsloth

logger = logging.getLogger(__name__)

# Files of a base model that whoever passes on a derivative must pass on too.
_NOTICE_FILE = re.compile(r"NOTICE.*|LICENSE.*|LICENCE.*|.*TERMS.*|.*POLICY.*", re.IGNORECASE)
_NOTICE_PATTERNS = ["NOTICE*", "LICENSE*", "LICENCE*", "*TERMS*", "*POLICY*", "*terms*", "*policy*"]
# `name` or `owner/name`: what a hub takes for a model's id.
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_WEIGHT_PATTERNS = ("*.safetensors", "pytorch_model*.bin")
# Every language model's tokenizer gives ordinary words back.
_PROBE = "hello you"


@dataclass(frozen=True)
class BaseModel:
    """A loaded base model. The tokenizer pads at the right end and has a pad token."""

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    hidden_size: int

    @property
    def device(self) -> torch.device:
        """Where the input embeddings are."""
        parameter: nn.Parameter = next(self.model.parameters())
        return parameter.device


def load_base_model(
    name_or_path: str,
    *,
    backend: Backend,
    dtype: str,
    load_in_4bit: bool | None,
    max_length: int,
    tokenizer_path: Path | None = None,
) -> BaseModel:
    """Load a local folder or a hub id; its tokenizer from `tokenizer_path` where that is given.

    `max_length` is the longest text in tokens that the model will see. `load_in_4bit` None means: on CUDA. Raises
    ModelLoadFailed.
    """
    _check_reachable(name_or_path)
    has_cuda = torch.cuda.is_available()
    wants_4bit = has_cuda if load_in_4bit is None else load_in_4bit
    with_unsloth = uses_unsloth(backend)
    if (with_unsloth or wants_4bit) and not has_cuda:
        raise ModelLoadFailed(
            "Unsloth and 4-bit weights need a CUDA GPU; set backend: transformers, load_in_4bit: false"
        )
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    precision = torch.float32 if dtype == "float32" else torch.bfloat16
    _check_config(name_or_path, _load_config(name_or_path), max_length)
    try:
        if with_unsloth:
            model = _load_with_unsloth(name_or_path, precision, wants_4bit, max_length)
        else:
            model = _load_with_transformers(name_or_path, precision, wants_4bit)
        tokenizer = _load_tokenizer(str(tokenizer_path or name_or_path))
    except (MemoryError, torch.cuda.OutOfMemoryError, ModelLoadFailed):
        raise
    except SafetensorError as error:
        raise ModelLoadFailed(
            f"a weights file of the base model {name_or_path} is damaged; copy it again: {_first_line(error)}"
        ) from error
    except Exception as error:
        # Hubs, file formats and three libraries fail here in many classes; all mean the same to the job's owner.
        raise ModelLoadFailed(f"can't load the base model {name_or_path}: {_first_line(error)}") from error
    return BaseModel(model, tokenizer, _find_hidden_size(model))


def copy_notice_files(name_or_path: str, target: Path) -> list[str]:
    """Copy the licence, notice and terms files that lie beside the base model's weights; returns their names."""
    folder = Path(name_or_path)
    if not folder.is_dir():
        folder = _fetch_notice_files(name_or_path)
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and _NOTICE_FILE.fullmatch(path.name))
    for name in names:
        # Hub folders are made of links; the content is what goes on.
        shutil.copyfile(folder / name, target / name)
    return names


def _fetch_notice_files(hub_id: str) -> Path:
    """Raises ConnectionError, whatever it is that the hub's client couldn't do."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=_NOTICE_PATTERNS))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise ConnectionError(_first_line(error)) from error


def _check_reachable(name_or_path: str) -> None:
    """A local folder comes before a hub id of the same name, as it does in transformers."""
    path = Path(name_or_path)
    if path.is_file():
        raise ModelLoadFailed(f"the base model {name_or_path} is a file; give the folder that a model was saved to")
    if not path.is_dir():
        if path.is_absolute() or not _HUB_ID.fullmatch(name_or_path):
            raise ModelLoadFailed(f"the base model's folder {name_or_path} does not exist")
    elif not (path / "config.json").is_file():
        raise ModelLoadFailed(f"{name_or_path} holds no config.json; give the folder that a model was saved to")
    elif not any(any(path.glob(pattern)) for pattern in _WEIGHT_PATTERNS):
        raise ModelLoadFailed(f"{name_or_path} holds no weights (model.safetensors); copy the whole model there")


def _load_config(name_or_path: str) -> Any:
    try:
        return AutoConfig.from_pretrained(name_or_path, trust_remote_code=False)
    except Exception as error:
        # Hub and parser fail in many classes, as below.
        if Path(name_or_path).is_dir():
            raise ModelLoadFailed(f"can't use the config.json of {name_or_path}: {_first_line(error)}") from error
        raise ModelLoadFailed(
            f"can't get the base model {name_or_path} from the model hub: {_first_line(error)} "
            "Give the folder of a downloaded model, or see that this machine reaches the hub and may read the model"
        ) from error


def _check_config(name_or_path: str, config: Any, max_length: int) -> None:
    """Raises ModelLoadFailed for a model that can't write, or not texts of that length."""
    text = config.get_text_config()
    # Kinds that exist as encoder and as decoder say which one they are. transformers would load an encoder as a decoder
    # whose positions see the tokens that they are to predict.
    is_encoder = hasattr(type(text), "is_decoder") and not text.is_decoder
    is_bidirectional = is_encoder or getattr(text, "use_bidirectional_attention", False)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING or config.is_encoder_decoder or is_bidirectional:
        raise ModelLoadFailed(
            f"the base model {name_or_path} ({config.model_type}) is no causal language model; take one that writes "
            "text from left to right, such as a Gemma, Llama or Qwen"
        )
    position_count = getattr(text, "max_position_embeddings", None)
    # transformers would go on beyond its training, and Unsloth stretch the positions, so that the adapter fits neither.
    if position_count is not None and max_length > position_count:
        raise ModelLoadFailed(
            f"the base model {name_or_path} takes texts of {position_count} tokens; set max_length to that or less"
        )


def _load_with_transformers(name_or_path: str, precision: torch.dtype, in_4bit: bool) -> nn.Module:
    options: dict[str, Any] = {}
    if in_4bit:
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=precision,
        )
    if torch.cuda.is_available():
        options["device_map"] = {"": 0}
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        name_or_path, dtype=precision, output_loading_info=True, trust_remote_code=False, **options
    )
    model: nn.Module
    info: dict[str, Any]
    model, info = loaded
    if info["missing_keys"]:
        # transformers would fill them with random numbers and only warn.
        missing = ", ".join(sorted(info["missing_keys"])[:3])
        raise ModelLoadFailed(f"the base model {name_or_path} lacks {len(info['missing_keys'])} weights: {missing}")
    return model


def _load_with_unsloth(name_or_path: str, precision: torch.dtype, in_4bit: bool, max_length: int) -> nn.Module:
    # backend.py has imported it before transformers, as it must be.
    from unsloth import FastModel

    model, _ = FastModel.from_pretrained(
        model_name=name_or_path,
        max_seq_length=max_length,
        dtype=precision,
        load_in_4bit=in_4bit,
        full_finetuning=False,
        # Its default is on. The Trainer turns it on where the config says so.
        use_gradient_checkpointing=False,
        trust_remote_code=False,
    )
    loaded: nn.Module = model
    return loaded


def _load_tokenizer(name_or_path: str) -> PreTrainedTokenizerBase:
    tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=False)
    # Where its files are missing, or belong to another kind of model, transformers makes one that knows no word or no
    # space, and doesn't say so.
    ids = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    if str(tokenizer.decode(ids, skip_special_tokens=True)).strip() != _PROBE:
        raise ModelLoadFailed(
            f"{name_or_path} holds no tokenizer that fits it; put the model's own tokenizer.json there"
        )
    # Gemma's own pads at the left. A causal model trains with padding at the right; generation pads its batches itself.
    tokenizer.padding_side = "right"
    if tokenizer.pad_token_id is None:
        # The mask tells padding from text, so any token will do.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    loaded: PreTrainedTokenizerBase = tokenizer
    return loaded


def _find_hidden_size(model: nn.Module) -> int:
    """The size of an input embedding. A model for text and images keeps it in its text_config."""
    config: Any = model.config
    return int(config.get_text_config().hidden_size)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
