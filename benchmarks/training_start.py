"""What all trainings of a comparison start from: the chats, their order, the first weights, and the machine's name.

    python -m benchmarks.training_start BASE FOLDER UPDATES

It is a process of its own, since it uses the GPU. The weights are those that emotune's own training starts from, as it
makes them from the config's seed, under the names that the parameters have in the model.
"""

import argparse
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.training_chats import CHAT_COUNTS, list_short_lengths, make_chats
from benchmarks.training_process import (
    BATCH_SIZE,
    CHATS_FILE,
    COMPARED,
    MACHINE_FILE,
    MAX_LENGTH,
    ORDER_FILE,
    WEIGHTS_FILE,
)
from emomodel.batches.order import BatchOrder
from emomodel.config import TrainConfig, make_config
from emomodel.emotions import DEFAULT_AXES
from emomodel.model.loading import load_base_model
from emomodel.model.prepare import make_emotional_model

PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "unsloth", "unsloth_zoo")


def write_order(path: Path, update_count: int) -> None:
    """Write the examples of each update, in the order in which emotune takes them for packed batches."""
    lengths = list_short_lengths(CHAT_COUNTS["short"])
    order = BatchOrder(
        lengths,
        lengths,
        batch_size=BATCH_SIZE,
        batch_count=update_count,
        seed=COMPARED["seed"],
        groups_by_length=False,
        evens_batches=True,
    )
    path.write_text(json.dumps(list(order)))


def write_weights(path: Path, base: Path, config: TrainConfig) -> None:
    """Write the weights that a training with `config` starts from: float32 tensors by their parameters' names."""
    dtype = "auto" if torch.cuda.is_available() else "float32"
    loaded = load_base_model(str(base), backend="transformers", dtype=dtype, load_in_4bit=None, max_length=MAX_LENGTH)
    model = make_emotional_model(loaded, config, len(DEFAULT_AXES))
    named = model.peft_model.named_parameters()
    save_file({name: weight.detach().cpu() for name, weight in named if weight.requires_grad}, path)


def describe_machine() -> dict[str, str | int | None]:
    versions: dict[str, str | int | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"device": device, "cores": os.cpu_count(), "python": platform.python_version()} | versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("updates", type=int)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / CHATS_FILE).write_bytes(make_chats("short", CHAT_COUNTS["short"]))
    write_order(options.folder / ORDER_FILE, options.updates)
    write_weights(options.folder / WEIGHTS_FILE, options.base, make_config("default", COMPARED))
    # The last file: where it is, all are.
    (options.folder / MACHINE_FILE).write_text(json.dumps(describe_machine()))


if __name__ == "__main__":
    main()
