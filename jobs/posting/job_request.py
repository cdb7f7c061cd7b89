"""JobRequest: what a caller asks for by posting a job, and the digest by which a repeated request is recognized."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from emomodel.config import TrainConfig
from emomodel.sizing.model_shape import ModelShape
from jobs.models import Dataset
from jobs.priorities import PriorityClass


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """A job as a team asks for it, before anything that it names has been looked up."""

    team_id: str
    base_model: str
    dataset_id: str
    config: TrainConfig
    validation_dataset_id: str | None = None
    name: str | None = None
    """None gives the job the name of its dataset."""
    priority: int = 0
    priority_class: PriorityClass = PriorityClass.NORMAL
    timeout_seconds: float | None = None
    idempotency_key: str | None = None
    posted_by: str | None = None
    """The name of the API key, shown to people."""
    traceparent: str | None = None
    """Links the job's trace to that of the request (W3C Trace Context)."""

    @cached_property
    def sha256(self) -> str:
        """Digest of what the caller asked for, in hexadecimal; the caller, the key and the trace are left out.

        Jobs keep it in the database, so it has to stay the same in later releases: a field that is added to requests
        may only be added to the digest where it differs from its default.
        """
        asked: list[object] = [
            self.name,
            self.priority,
            self.base_model,
            self.dataset_id,
            self.validation_dataset_id,
            self.config.model_dump(mode="json"),
        ]
        if self.priority_class is not PriorityClass.NORMAL:
            asked.append({"priority_class": self.priority_class.value})
        if self.timeout_seconds is not None:
            asked.append({"timeout_seconds": self.timeout_seconds})
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class JobInputs:
    """What the names in a request refer to."""

    dataset: Dataset
    validation: Dataset | None = None
    shape: ModelShape | None = None
    """The sizes of the base model; None where they are not known, and then memory is neither estimated nor checked."""
