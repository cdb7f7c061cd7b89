"""RunCheckpoints: where a run saves its checkpoints, and which of earlier runs it may go on from."""

from pathlib import Path

from emomodel.checkpoints.index import CheckpointInfo, delete_checkpoints, list_checkpoints
from jobs.files.run_copies import RunCopies
from jobs.files.storage import METRICS_FILE, Storage
from jobs.runs.metrics import SampledMetric
from worker.runs.metric_files import read_metric_file


class RunCheckpoints:
    """Those of one attempt, in a folder of its own: a run that was taken for dead can't spoil its successor's."""

    def __init__(self, storage: Storage, *, job_id: str, attempt: int, kept: int) -> None:
        """`kept`: with so many of its own, those of earlier attempts are not needed any more."""
        self._storage = storage
        self._job_id = job_id
        self._attempt = attempt
        self._kept = kept
        self._saved_count = 0

    @property
    def folder(self) -> Path:
        return self._storage.get_checkpoint_folder(self._job_id, self._attempt)

    def list_earlier(self) -> list[CheckpointInfo]:
        """Of all earlier attempts, the newest first: by its step, and of equal ones that of the latest attempt.

        Those of other machines are fetched. Raises StorageUnreachable.
        """
        if self._storage.is_shared:
            RunCopies(self._storage, self._job_id).fetch_checkpoints(self._attempt)
        return self._list_earlier_here()

    def read_metrics(self, step: int) -> list[SampledMetric]:
        """All of the training up to an earlier checkpoint of this step; none where they can't be read."""
        for checkpoint in self._list_earlier_here():
            if checkpoint.step == step and (metrics := read_metric_file(checkpoint.path / METRICS_FILE)):
                return metrics
        return []

    def _list_earlier_here(self) -> list[CheckpointInfo]:
        attempts = [attempt for attempt in self._storage.list_attempts(self._job_id) if attempt < self._attempt]
        found = [
            checkpoint
            for attempt in reversed(attempts)
            for checkpoint in list_checkpoints(self._storage.get_checkpoint_folder(self._job_id, attempt))
        ]
        return sorted(found, key=lambda checkpoint: checkpoint.step, reverse=True)

    def note_saved(self) -> None:
        """The run has saved one more."""
        self._saved_count += 1
        if self._saved_count == self._kept:
            self.delete_earlier()

    def delete_earlier(self) -> None:
        for attempt in self._storage.list_attempts(self._job_id):
            if attempt < self._attempt:
                delete_checkpoints(self._storage.get_checkpoint_folder(self._job_id, attempt))

    def delete_all(self) -> None:
        """When the job begins anew."""
        self.delete_earlier()
        delete_checkpoints(self.folder)
        if self._storage.is_shared:
            RunCopies(self._storage, self._job_id).delete_checkpoints()
