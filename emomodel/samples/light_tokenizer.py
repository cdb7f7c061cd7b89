"""LightTokenizer: a base model's tokenizer and chat template, read from its folder without transformers.

It reads the files that transformers reads, and has the part of a transformers tokenizer that emomodel.samples.chat
needs (ChatTokenizer). Some classes of transformers rebuild their tokenizer from the vocabulary, with their own rules in
place of those in tokenizer.json; emomodel.training.sample_loading compares the two before a training.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from tokenizers import AddedToken, Tokenizer

from emomodel.samples.chat_template import ChatTemplate
from emomodel.samples.chat_text import ChatError

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
TEMPLATE_FILE = "chat_template.jinja"
# All files that decide a text's tokens.
_FILES = (TOKENIZER_FILE, CONFIG_FILE, SPECIAL_TOKENS_FILE, TEMPLATE_FILE)

_ENDOFTEXT = "<|endoftext|>"
# The tokens that transformers' classes use when the config doesn't name them, by class name without "Fast".
_CLASS_TOKENS: dict[str, dict[str, str]] = {
    "GemmaTokenizer": {
        "unk_token": "<unk>",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
    },
    "LlamaTokenizer": {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"},
    "Qwen2Tokenizer": {"unk_token": _ENDOFTEXT, "eos_token": _ENDOFTEXT, "pad_token": _ENDOFTEXT},
}

# The keys of further special tokens, in files written by transformers 5 and by earlier versions.
_EXTRA_KEYS = ("extra_special_tokens", "additional_special_tokens")
# The key of further special tokens with names, such as Gemma 4's `sot_token`.
_NAMED_KEY = "model_specific_special_tokens"


class TokenizerUnusable(ChatError):
    """A base model's folder has no tokenizer.json, or its tokenizer files can't be read."""

    code = "tokenizer_unusable"


class LightTokenizer:
    """A tokenizer that gives the same tokens as a training."""

    # It returns offsets.
    is_fast = True

    def __init__(
        self, backend: Tokenizer, template: str | None, special_tokens: Mapping[str, str], extra_tokens: Sequence[str]
    ) -> None:
        """`special_tokens` are by name, such as `bos_token`. Raises TokenizerUnusable for an invalid chat template."""
        self.chat_template: Any = template
        self._backend = backend
        self._special_tokens = [*special_tokens.values(), *extra_tokens]
        try:
            self._template = ChatTemplate(template or "", special_tokens)
        except jinja2.TemplateError as error:
            raise TokenizerUnusable(f"the base model's chat template is no valid template: {error}") from error

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of the tokens that the tokenizer's config names as special."""
        ids = [self._backend.token_to_id(token) for token in self._special_tokens]
        return [token_id for token_id in ids if token_id is not None]

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The tokens that are matched in a text before all others, by id."""
        return self._backend.get_added_tokens_decoder()

    def __call__(self, text: str, *, add_special_tokens: bool, return_offsets_mapping: bool) -> dict[str, Any]:
        """Tokenise a text: `input_ids`, and `offset_mapping` with each token's first and last character + 1."""
        encoding = self._backend.encode(text, add_special_tokens=add_special_tokens)
        return {"input_ids": encoding.ids} | ({"offset_mapping": encoding.offsets} if return_offsets_mapping else {})

    def convert_ids_to_tokens(self, ids: int) -> str | None:
        """The token of an id, as the vocabulary writes it; None for an unknown id."""
        return self._backend.id_to_token(ids)

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, Any]],
        *,
        tokenize: bool,  # noqa: ARG002  callers pass it because transformers would tokenise by default
        add_generation_prompt: bool,
        enable_thinking: bool,
        strftime_now: Callable[[str], str],
    ) -> str:
        """Render a chat as text. The last two arguments are variables of the template.

        Raises jinja2.TemplateError when the template refuses the chat.
        """
        return self._template.render(
            conversation,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=enable_thinking,
            strftime_now=strftime_now,
        )


def load_light_tokenizer(folder: Path) -> LightTokenizer:
    """Load the tokenizer in a model's folder. Raises TokenizerUnusable."""
    if not (folder / TOKENIZER_FILE).is_file():
        raise TokenizerUnusable(
            f"the base model's folder holds no {TOKENIZER_FILE}; copy the model's own tokenizer.json there"
        )
    config = _read_json(folder / CONFIG_FILE)
    if "added_tokens_decoder" not in config:
        config |= _read_json(folder / SPECIAL_TOKENS_FILE)
    try:
        # For a file that it can't read, the library raises a plain Exception.
        backend = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    except Exception as error:
        raise TokenizerUnusable(f"the base model's {TOKENIZER_FILE} can't be read: {error}") from error
    # The file may still ask for the lengths that were used when the tokenizer was trained.
    backend.no_truncation()
    backend.no_padding()
    try:
        return _make_tokenizer(backend, folder, config)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise TokenizerUnusable(f"the base model's tokenizer files contradict their format: {error}") from error


def _make_tokenizer(backend: Tokenizer, folder: Path, config: dict[str, Any]) -> LightTokenizer:
    config = _CLASS_TOKENS.get(str(config.get("tokenizer_class")).removesuffix("Fast"), {}) | config
    named = {key: _read_token(value) for key, value in config.items() if key.endswith("_token") and _is_token(value)}
    extra: Any = next((config[key] for key in _EXTRA_KEYS if config.get(key)), [])
    further: dict[str, Any] = dict(config.get(_NAMED_KEY) or {})
    if isinstance(extra, dict):
        further, extra = further | extra, []
    named |= {key: _read_token(value) for key, value in further.items()}
    extra_tokens = [_read_token(value) for value in extra]
    _add_tokens(backend, config.get("added_tokens_decoder", {}), [*named.values(), *extra_tokens])
    return LightTokenizer(backend, _find_template(folder, config), named, extra_tokens)


def hash_tokenizer(folder: Path) -> str:
    """The sha256 of all files that decide a text's tokens; a missing file counts as empty."""
    digest = hashlib.sha256()
    for name in _FILES:
        path = folder / name
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def stat_tokenizer(folder: Path) -> tuple[tuple[int, int], ...]:
    """The modification time in nanoseconds and the size of each file that decides tokens: a cheap check for changes."""
    stats = (path.stat() if (path := folder / name).is_file() else None for name in _FILES)
    return tuple((stat.st_mtime_ns, stat.st_size) if stat else (0, 0) for stat in stats)


def _find_template(folder: Path, config: Mapping[str, Any]) -> str | None:
    """The chat template's file takes precedence over the config. Of several named templates, the default is used."""
    if (folder / TEMPLATE_FILE).is_file():
        return (folder / TEMPLATE_FILE).read_text(encoding="utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):
        template = {entry["name"]: entry["template"] for entry in template}.get("default")
    return template if isinstance(template, str) else None


def _add_tokens(backend: Tokenizer, listed: Mapping[str, Mapping[str, Any]], special: Sequence[str]) -> None:
    """Add tokens from the configs, which take precedence over tokenizer.json, as in transformers."""
    present = {repr(token) for token in backend.get_added_tokens_decoder().values()}
    for index in sorted(listed, key=int):
        token = AddedToken(**listed[index])
        if repr(token) not in present:
            backend.add_tokens([token])
    words = {token.content for token in backend.get_added_tokens_decoder().values()}
    backend.add_tokens([AddedToken(word, special=True) for word in special if word not in words])


def _is_token(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, dict) and "content" in value)


def _read_token(value: str | Mapping[str, str]) -> str:
    return value if isinstance(value, str) else value["content"]


def _read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if the file doesn't exist. Raises TokenizerUnusable."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise TokenizerUnusable(f"the base model's {path.name} can't be read: {error}") from error
    if not isinstance(content, dict):
        raise TokenizerUnusable(f"the base model's {path.name} holds no JSON object")
    return content
