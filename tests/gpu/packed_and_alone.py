"""Compares packed, accelerated samples with the same samples alone, on a base model that a backend has loaded.

    python -m tests.gpu.packed_and_alone BASE BACKEND 4|16

Prints a line of JSON. A program of its own, since Unsloth must be imported before transformers.
"""

import json
import sys
from typing import cast

from emomodel.config import Backend
from emomodel.model.backend import import_backend


def compare(base_path: str, backend: Backend, bits: str) -> dict[str, object]:
    """Return both losses, the relative distance of the gradients, and which library loaded the model."""
    import torch
    from torch.nn.init import normal_

    from emomodel.batches.collator import DataCollatorForEmotionalGemma
    from emomodel.config import TrainConfig
    from emomodel.model.loading import load_base_model
    from emomodel.model.prepare import make_emotional_model
    from emomodel.training.acceleration import accelerated, prepare_acceleration
    from tests.gpu.test_acceleration import distance, learn, list_trained, pack, to_cuda
    from tests.model.packed_samples import AXES, make_samples

    loaded = load_base_model(base_path, backend=backend, dtype="bfloat16", load_in_4bit=bits == "4", max_length=64)
    config = TrainConfig(lora_rank=8)
    model = make_emotional_model(loaded, config, AXES)
    # Adapters that have an effect.
    torch.manual_seed(1)
    for parameter in list_trained(model.peft_model):
        normal_(parameter, std=0.05)
    model.peft_model.train()
    if not prepare_acceleration(model.wrapper, config, with_unsloth=loaded.loaded_by == "unsloth").accelerates:
        raise SystemExit("the acceleration doesn't fit")
    collate = DataCollatorForEmotionalGemma(0, AXES)
    loss, gradient = learn(model.peft_model, [to_cuda(collate([sample])) for sample in make_samples(5)])
    with accelerated(model.wrapper, model.peft_model):
        packed_loss, packed_gradient = learn(model.peft_model, [pack(5)])
    return {
        "loaded_by": loaded.loaded_by,
        "alone": loss,
        "packed": packed_loss,
        "gradient_distance": distance(packed_gradient, gradient),
    }


if __name__ == "__main__":
    base_argument, bits_argument = sys.argv[1], sys.argv[3]
    backend_argument = cast("Backend", sys.argv[2])
    # Before any import of transformers, also by the modules of the tests.
    import_backend(backend_argument)
    print(json.dumps(compare(base_argument, backend_argument, bits_argument)))
