"""The course of a training: a digest of all that decides its weights. A checkpoint fits only its own course."""

import hashlib
import json

from emomodel.protocol.train_request import TrainRequest

# How the examples of packed batches are chosen. Before this was part of the digest, they were chosen at random.
_PACKED_ORDER = "evened by length"
# Fields of the config that decide how often something is reported or saved, and affect no weight.
_WITHOUT_EFFECT = {"auto_batch", "checkpoint_every", "eval_every", "log_every", "row_report"}


def digest_course(request: TrainRequest, *, batching: str) -> str:
    """The sha256 of config, datasets, base model and axes: what decides the weights, whatever the machine.

    `batching` is the kind of batches that the training uses, with `auto` resolved.
    """
    order = {"order": _PACKED_ORDER} if batching == "packed" else {}
    course = {
        "config": request.config.model_dump(mode="json", exclude=_WITHOUT_EFFECT) | {"batching": batching} | order,
        "dataset": request.dataset_sha256,
        "validation": request.validation.sha256 if request.validation else None,
        "base_model": request.base_model,
        "axes": request.axes,
    }
    return hashlib.sha256(json.dumps(course, sort_keys=True).encode()).hexdigest()
