"""import_folder: the folder that a training of the original project left becomes a bundle."""

import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from transformers import AutoTokenizer

from emomodel.bundles.bundle import pack, write_manifest
from emomodel.bundles.card import CARD_FILE, make_model_card
from emomodel.bundles.manifest import ADAPTER_FOLDER, ADAPTER_WEIGHTS, TOKENIZER_FOLDER, Manifest, get_library_versions
from emomodel.bundles.reference_prompts import REFERENCE_FILE
from emomodel.conversion.original_bundle import CONFIG_FILE, ImportRefused, OriginalBundle, read_original_bundle
from emomodel.emotions import DEFAULT_AXES
from emomodel.evaluation.reference import make_reference
from emomodel.evaluation.verification import as_asked
from emomodel.generation.loaded_bundle import load_folder
from emomodel.model.notice_files import copy_notice_files
from emomodel.model.projection import get_layer_sizes, make_projection
from emomodel.model.projection_files import save_projection

# The original project multiplies the projection by 3, doesn't centre it, and gives each token its own emotion.
_SCALE = 3.0
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)


def import_folder(source: Path, output: Path, *, base: str | None = None, name: str | None = None) -> Manifest:
    """Write the bundle `output`, a zip file, from the files in `source`, and return its manifest.

    The manifest calls the bundle `name`, by default the folder's name. With `base`, a folder or hub id, the bundle is
    loaded on that base model and gets reference prompts; without it only the files are checked. Raises ImportRefused
    when the folder isn't what the original project leaves, BundleMismatch when the parts don't fit each other,
    ModelLoadFailed when the base model can't be loaded, OSError when a file can't be read or written.
    """
    if not source.is_dir():
        raise ImportRefused(f"{source} is not a folder; give the one that the original project saved to")
    original = read_original_bundle(source)
    with tempfile.TemporaryDirectory(prefix="emomodel-import-") as scratch:
        folder = Path(scratch) / "bundle"
        folder.mkdir()
        base_model = _name_base_model(original, base)
        projection = make_projection(len(DEFAULT_AXES), original.hidden_size, "default")
        projection.load_state_dict(original.projection)
        save_projection(projection, folder)
        _write_adapter(original, folder / ADAPTER_FOLDER, base_model)
        _copy_tokenizer(source, folder / TOKENIZER_FOLDER, base)
        manifest = _make_manifest(base_model, get_layer_sizes(projection), name or source.resolve().name)
        if base is not None:
            reference = make_reference(as_asked(load_folder(folder, manifest, base=base)))
            (folder / REFERENCE_FILE).write_text(reference.model_dump_json() + "\n", encoding="utf-8")
        notice_files = _copy_notices(source, base, folder)
        (folder / CARD_FILE).write_text(make_model_card(manifest, notice_files), encoding="utf-8")
        complete = write_manifest(folder, manifest)
        pack(folder, output)
    return complete


def _make_manifest(base_model: str, layer_sizes: tuple[int, int, int], imported_name: str) -> Manifest:
    return Manifest(
        base_model=base_model,
        axes=DEFAULT_AXES.names,
        hidden_size=layer_sizes[-1],
        layer_sizes=layer_sizes,
        emotion_scale=_SCALE,
        emotion_centered=False,
        emotion_span="token",
        origin="import",
        imported_name=imported_name,
        library_versions=get_library_versions(),
        created_at=datetime.now(UTC),
    )


def _name_base_model(original: OriginalBundle, base: str | None) -> str:
    """The base model that the manifest names. Raises ImportRefused when neither adapter nor caller names one."""
    if original.base_model:
        return original.base_model
    if base is None:
        raise ImportRefused(f"{CONFIG_FILE} names no base model; give --base")
    return Path(base).resolve().name if Path(base).is_dir() else base


def _write_adapter(original: OriginalBundle, folder: Path, base_model: str) -> None:
    folder.mkdir()
    config: dict[str, Any] = original.config | {
        "base_model_name_or_path": base_model,
        "inference_mode": True,
        # It names a class of the original project, without which plain PEFT couldn't load the adapter.
        "auto_mapping": None,
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    weights = {key: tensor.contiguous() for key, tensor in original.adapter.items()}
    save_file(weights, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})


def _copy_tokenizer(source: Path, folder: Path, base: str | None) -> None:
    """Copy the tokenizer beside the adapter, else that of the base model. Raises ImportRefused, OSError."""
    if (source / "tokenizer.json").is_file():
        folder.mkdir()
        for name in _TOKENIZER_FILES:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
    elif base is None:
        raise ImportRefused(f"{source} holds no tokenizer.json; give --base, whose tokenizer is then taken")
    else:
        AutoTokenizer.from_pretrained(base, trust_remote_code=False).save_pretrained(folder)


def _copy_notices(source: Path, base: str | None, folder: Path) -> list[str]:
    """Copy the licence and notice files of the folder, and of the base model if that is a folder."""
    names = set(copy_notice_files(str(source), folder))
    if base is not None and Path(base).is_dir():
        names |= set(copy_notice_files(base, folder))
    return sorted(names)
