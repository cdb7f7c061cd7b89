"""RunCheckpoints: where a run saves its checkpoints, and which earlier ones it may resume from."""

from pathlib import Path

from emomodel.checkpoints.index import CheckpointInfo, delete_checkpoints, list_checkpoints
from jobs.files.run_copies import RunCopies
from jobs.files.storage import METRICS_FILE, Storage
from jobs.runs.metrics import SampledMetric
from worker.runs.metric_files import read_metric_file


class RunCheckpoints:
    """The checkpoints of one attempt, in its own folder, so that a run considered dead can't damage its successor's."""

    def __init__(self, storage: Storage, *, job_id: str, attempt: int, kept: int) -> None:
        """`kept`: once the attempt has saved this many, those of earlier attempts are deleted."""
        self._storage = storage
        self._job_id = job_id
        self._attempt = attempt
        self._kept = kept
        self._saved_count = 0

    @property
    def folder(self) -> Path:
        return self._storage.get_checkpoint_folder(self._job_id, self._attempt)

    def list_earlier(self) -> list[CheckpointInfo]:
        """List the checkpoints of earlier attempts by falling step; of equal steps the latest attempt comes first.

        Checkpoints of other machines are fetched. Raises StorageUnreachable.
        """
        if self._storage.is_shared:
            RunCopies(self._storage, self._job_id).fetch_checkpoints(self._attempt)
        return self._list_earlier_here()

    def read_metrics(self, step: int) -> list[SampledMetric]:
        """Read the metrics up to an earlier checkpoint of this step; none where they can't be read."""
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
        """Count a checkpoint that the run has saved."""
        self._saved_count += 1
        if self._saved_count == self._kept:
            self.delete_earlier()

    def delete_earlier(self) -> None:
        for attempt in self._storage.list_attempts(self._job_id):
            if attempt < self._attempt:
                delete_checkpoints(self._storage.get_checkpoint_folder(self._job_id, attempt))

    def delete_all(self) -> None:
        """Delete the checkpoints of all attempts, as the job starts again from the beginning."""
        self.delete_earlier()
        delete_checkpoints(self.folder)
        if self._storage.is_shared:
            RunCopies(self._storage, self._job_id).delete_checkpoints()
