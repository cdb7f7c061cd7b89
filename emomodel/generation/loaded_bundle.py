"""load_bundle: a bundle is loaded on its base model, with adapter, projection and tokenizer."""

from dataclasses import dataclass
from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from emomodel.bundles.bundle import open_bundle
from emomodel.bundles.manifest import ADAPTER_FOLDER, TOKENIZER_FOLDER, Manifest
from emomodel.emotions import Axes
from emomodel.errors import BundleMismatch
from emomodel.model.adapter_files import load_adapter
from emomodel.model.loading import load_base_model
from emomodel.model.projection_files import load_projection
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper

# How long the texts of the loaded model will be is not known yet, so no limit of the base model is checked.
_UNKNOWN_LENGTH = 0


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle on its base model, in evaluation mode."""

    model: EmotionalGemmaUnslothWrapper
    tokenizer: PreTrainedTokenizerBase
    manifest: Manifest

    @property
    def axes(self) -> Axes:
        return self.manifest.get_axes()

    @property
    def adapter(self) -> PeftModel:
        """The base model with the adapter on it."""
        peft_model: PeftModel = self.model.model
        return peft_model


def load_bundle(path: Path | str, *, base: str | None = None) -> LoadedBundle:
    """Load a bundle, a zip file or a folder, on its base model.

    `base` is the folder or the hub id of the base model, by default what the manifest names. Raises BundleError when a
    file is missing or was changed, BundleMismatch when the parts don't fit each other or the base model,
    ModelLoadFailed when the base model can't be loaded.
    """
    with open_bundle(Path(path)) as (folder, manifest):
        return load_folder(folder, manifest, base=base)


def load_folder(
    folder: Path, manifest: Manifest, *, base: str | None = None, load_in_4bit: bool = False
) -> LoadedBundle:
    """Load a bundle as load_bundle does, from a folder whose files have been checked against `manifest`.

    Raises BundleMismatch, ModelLoadFailed.
    """
    base_model = load_base_model(
        base or manifest.base_model,
        # Unsloth makes training faster; for generation transformers is enough.
        backend="transformers",
        dtype=manifest.dtype,
        load_in_4bit=load_in_4bit,
        max_length=_UNKNOWN_LENGTH,
        # The tokenizer of the training: the model was trained with its chat template.
        tokenizer_path=folder / TOKENIZER_FOLDER,
    )
    if base_model.hidden_size != manifest.hidden_size:
        raise BundleMismatch(
            f"the bundle was trained on {manifest.base_model} with hidden size {manifest.hidden_size}; "
            f"the base model given has {base_model.hidden_size}"
        )
    projection = load_projection(folder, manifest).to(base_model.device)
    peft_model = load_adapter(base_model.model, folder / ADAPTER_FOLDER)
    wrapper = EmotionalGemmaUnslothWrapper(
        peft_model, projection, scale=manifest.emotion_scale, centered=manifest.emotion_centered
    )
    wrapper.eval()
    return LoadedBundle(wrapper, base_model.tokenizer, manifest)
