"""What decides a training's course, as one digest: a checkpoint fits no training of another course."""

import hashlib
import json

from emomodel.protocol.train_request import TrainRequest

# Fields of the config that decide how often something is told or saved, and no weight.
_WITHOUT_EFFECT = {"auto_batch", "checkpoint_every", "eval_every", "log_every", "row_report"}


def digest_course(request: TrainRequest, *, batching: str) -> str:
    """The sha256 of what a training is made of, the same on each machine. `batching` is what `auto` has come to."""
    course = {
        "config": request.config.model_dump(mode="json", exclude=_WITHOUT_EFFECT) | {"batching": batching},
        "dataset": request.dataset_sha256,
        "validation": request.validation.sha256 if request.validation else None,
        "base_model": request.base_model,
        "axes": request.axes,
    }
    return hashlib.sha256(json.dumps(course, sort_keys=True).encode()).hexdigest()
