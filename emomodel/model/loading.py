"""load_base_model: the base model and its tokenizer, loaded by transformers or by Unsloth's FastModel.

Nothing here asks for Gemma by name: any causal language model with a chat template can be loaded.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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

from emomodel.collection import without_collection
from emomodel.config import Backend
from emomodel.errors import ModelLoadFailed, get_first_line
from emomodel.model.backend import uses_unsloth
from emomodel.model.unsloth_model import load_with_unsloth

logger = logging.getLogger(__name__)

# `name` or `owner/name`: the form of a model's id on a model hub.
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_WEIGHT_PATTERNS = ("*.safetensors", "pytorch_model*.bin")
# The tokenizer of any language model decodes the tokens of these ordinary words to the same words.
_PROBE = "hello you"


@dataclass(frozen=True)
class LoadedBaseModel:
    """A loaded base model. `hidden_size` is that of an input embedding; the tokenizer pads on the right.

    `why_not_unsloth` is the first line of Unsloth's error, where transformers loaded the model in its place.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    hidden_size: int
    loaded_by: Literal["transformers", "unsloth"]
    why_not_unsloth: str | None

    @property
    def device(self) -> torch.device:
        """The device of the model's first parameter, where its inputs have to be."""
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
) -> LoadedBaseModel:
    """Load the base model in a local folder, or with an id on the model hub, and its tokenizer.

    `dtype` "float32" loads float32 weights, any other bfloat16. `load_in_4bit` None loads 4-bit weights on CUDA only.
    `max_length` is the longest text, in tokens, that the model will get. The tokenizer is loaded from `tokenizer_path`
    where that is given. `backend` "auto" uses transformers where Unsloth can't load the model. Raises ModelLoadFailed,
    and MemoryError or torch.cuda.OutOfMemoryError when memory runs out.
    """
    _check_reachable(name_or_path)
    has_cuda = torch.cuda.is_available()
    wants_4bit = has_cuda if load_in_4bit is None else load_in_4bit
    if (backend == "unsloth" or wants_4bit) and not has_cuda:
        raise ModelLoadFailed(
            "Unsloth and 4-bit weights need a CUDA GPU; set backend: transformers, load_in_4bit: false"
        )
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    precision = torch.float32 if dtype == "float32" else torch.bfloat16
    _check_config(name_or_path, _load_config(name_or_path), max_length)
    model: nn.Module | None = None
    why_not: str | None = None
    with _explaining_failures(name_or_path):
        if uses_unsloth(backend):
            try:
                model = load_with_unsloth(name_or_path, precision, wants_4bit, max_length)
            except (MemoryError, torch.cuda.OutOfMemoryError):
                raise
            except Exception as error:
                # Unsloth checks versions and models, writes source code and compiles it; it raises any class of error.
                if backend == "unsloth":
                    raise
                logger.warning("Unsloth can't load the base model", exc_info=True)
                why_not = get_first_line(error)
        loaded_by: Literal["transformers", "unsloth"] = "unsloth"
        if model is None:
            model, loaded_by = _load_with_transformers(name_or_path, precision, wants_4bit), "transformers"
        # Gemma's tokenizer is 262,144 tokens and twice as many merges: half of its time would be collections.
        with without_collection():
            tokenizer = _load_tokenizer(str(tokenizer_path or name_or_path))
    return LoadedBaseModel(model, tokenizer, _find_hidden_size(model), loaded_by, why_not)


@contextmanager
def _explaining_failures(name_or_path: str) -> Iterator[None]:
    """Turn the errors of the libraries that load a model into ModelLoadFailed."""
    try:
        yield
    except (MemoryError, torch.cuda.OutOfMemoryError, ModelLoadFailed):
        raise
    except SafetensorError as error:
        raise ModelLoadFailed(
            f"a weights file of the base model {name_or_path} is damaged; copy it again: {get_first_line(error)}"
        ) from error
    except Exception as error:
        # Hubs, file formats and three libraries fail in many classes of error; they all mean the same to a job's owner.
        raise ModelLoadFailed(f"can't load the base model {name_or_path}: {get_first_line(error)}") from error


def _check_reachable(name_or_path: str) -> None:
    """Raise ModelLoadFailed for a path without a model. A folder wins over a hub id, as it does in transformers."""
    path = Path(name_or_path)
    if path.is_file():
        raise ModelLoadFailed(f"the base model {name_or_path} is a file; give the folder that a model was saved to")
    if not path.is_dir():
        if path.is_absolute() or not _HUB_ID.fullmatch(name_or_path):
            raise ModelLoadFailed(f"the base model's folder {name_or_path} does not exist")
    elif not (path / "config.json").is_file():
        raise ModelLoadFailed(f"{name_or_path} holds no config.json; give the folder that a model was saved to")
    elif not any(any(path.glob(pattern)) for pattern in _WEIGHT_PATTERNS):
        raise ModelLoadFailed(f"{name_or_path} holds no weights (model.safetensors); copy all files of the model there")


def _load_config(name_or_path: str) -> Any:
    try:
        return AutoConfig.from_pretrained(name_or_path, trust_remote_code=False)
    except Exception as error:
        # The hub's client and the parser fail in many classes of error.
        if Path(name_or_path).is_dir():
            raise ModelLoadFailed(f"can't use the config.json of {name_or_path}: {get_first_line(error)}") from error
        raise ModelLoadFailed(
            f"can't get the base model {name_or_path} from the model hub: {get_first_line(error)} "
            "Give the folder of a downloaded model, or see that this machine reaches the hub and may read the model"
        ) from error


def _check_config(name_or_path: str, config: Any, max_length: int) -> None:
    """Raise ModelLoadFailed for a model that is not a causal one, or can't take texts of `max_length` tokens."""
    text = config.get_text_config()
    # The config of an architecture that exists as encoder and as decoder says which of them it is. transformers would
    # load an encoder as a decoder in which each position sees the token that it has to predict.
    is_encoder = hasattr(type(text), "is_decoder") and not text.is_decoder
    # "vision" (Gemma 4) lets the tokens of an image see each other; text is read from left to right.
    is_bidirectional = is_encoder or getattr(text, "use_bidirectional_attention", None) in {True, "all"}
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING or config.is_encoder_decoder or is_bidirectional:
        raise ModelLoadFailed(
            f"the base model {name_or_path} ({config.model_type}) is no causal language model; take one that writes "
            "text from left to right, such as a Gemma, Llama or Qwen"
        )
    position_count = getattr(text, "max_position_embeddings", None)
    # transformers would use positions that the base model was never trained on, and Unsloth would rescale the
    # positions, so that the adapter would fit neither.
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
        # transformers fills them with random numbers and only warns.
        missing = ", ".join(sorted(info["missing_keys"])[:3])
        raise ModelLoadFailed(f"the base model {name_or_path} lacks {len(info['missing_keys'])} weights: {missing}")
    return model


def _load_tokenizer(name_or_path: str) -> PreTrainedTokenizerBase:
    tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=False)
    # If the files are missing or belong to another kind of model, transformers silently makes a tokenizer that knows no
    # words or no spaces.
    ids = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    if str(tokenizer.decode(ids, skip_special_tokens=True)).strip() != _PROBE:
        raise ModelLoadFailed(
            f"{name_or_path} holds no tokenizer that fits it; put the model's own tokenizer.json there"
        )
    # Gemma's tokenizer pads on the left. A causal model trains with padding on the right, and generation pads its own
    # batches.
    tokenizer.padding_side = "right"
    if tokenizer.pad_token_id is None:
        # Any token will do, since the mask distinguishes padding from text.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    loaded: PreTrainedTokenizerBase = tokenizer
    return loaded


def _find_hidden_size(model: nn.Module) -> int:
    """The size of an input embedding. A model of text and images has it in its text_config."""
    config: Any = model.config
    return int(config.get_text_config().hidden_size)
