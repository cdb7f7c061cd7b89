"""The parts of a base model for images and audio: their parameters, by the values in its config.json.

Text never reaches them, but they are loaded. Sources: the modeling modules of transformers 5.17; tests/model/sizing
compares the counts with those of its classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emomodel.sizing.layer_shapes import Sizes

# By its name: Gemma 3n's vision tower is a convolutional network of another library, and its config has no sizes.
_MOBILENET_V5_COUNT = 300_000_000
# transformers' defaults, which a config may omit.
_SIGLIP_DEFAULTS = {"image_size": 224, "patch_size": 16}
_CHANNELS = 3


@dataclass(frozen=True)
class Towers:
    """The parameters of all towers and of what connects them to the text model.

    `linear_count` are those of linear modules, which bitsandbytes quantises by default.
    """

    linear_count: int = 0
    other_count: int = 0


NO_TOWERS = Towers()


def read_towers(config: Mapping[str, Any], text_hidden: int) -> Towers:
    """The towers in a model's config; parts of a kind that isn't known count with their layers only.

    Raises SizeUnknown.
    """
    linear, other = 0, 0
    for name, read in (("vision_config", _read_vision), ("audio_config", _read_audio)):
        part = config.get(name)
        if isinstance(part, dict) and part:
            found = read(str(config.get("model_type")), Sizes(part), text_hidden)
            linear, other = linear + found.linear_count, other + found.other_count
    return Towers(linear, other)


def _read_vision(kind: str, vision: Sizes, text_hidden: int) -> Towers:
    if kind == "gemma3n":
        return Towers(vision.get("hidden_size") * text_hidden, _MOBILENET_V5_COUNT)
    hidden, intermediate = vision.find("hidden_size"), vision.find("intermediate_size")
    layers = vision.find("num_hidden_layers")
    if kind == "gemma4":
        head = vision.get("head_dim")
        query, key = head * vision.get("num_attention_heads"), head * vision.get("num_key_value_heads")
        layer = 2 * hidden * query + 2 * hidden * key + 3 * hidden * intermediate
        patches = _CHANNELS * vision.get("patch_size") ** 2 * hidden
        positions = 2 * vision.get("position_embedding_size") * hidden
        return Towers(layers * layer + patches + hidden * text_hidden, positions)
    # SigLIP's layers, as in Gemma 3: four attention matrices and two of the MLP.
    linear = layers * (4 * hidden**2 + 2 * hidden * intermediate)
    sizes = Sizes(_SIGLIP_DEFAULTS | dict(vision.values))
    patch, side = sizes.get("patch_size"), sizes.get("image_size")
    embeddings = hidden * (_CHANNELS * patch**2 + (side // patch) ** 2)
    return Towers(linear, embeddings + hidden * text_hidden)


def _read_audio(kind: str, audio: Sizes, text_hidden: int) -> Towers:
    """A conformer. A layer has two MLPs of four times its size, five attention matrices, and two of a convolution."""
    if kind not in ("gemma3n", "gemma4"):
        return NO_TOWERS
    hidden = audio.get("hidden_size")
    linear = audio.get("num_hidden_layers", "conf_num_hidden_layers") * 24 * hidden**2
    channels = audio.find_list("subsampling_conv_channels") or audio.find_list("sscp_conv_channel_size")
    # Two convolutions leave a quarter of the features, of which there are as many as channels at first.
    first, last = channels if len(channels) == 2 else (128, 32)
    projected = audio.find("output_proj_dims")
    linear += first // 4 * last * hidden + hidden * projected + (projected or hidden) * text_hidden
    return Towers(linear)
