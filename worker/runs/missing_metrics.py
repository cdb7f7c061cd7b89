"""What a job's curve lacks of the training that a run goes on from.

A worker that dies may have told nobody of its last metrics. A checkpoint holds all up to its step, so the run that goes
on from it hands on those that the database lacks as its own first ones: the curve is whole up to there, whatever
machine the earlier run was on and however it ended.
"""

import time

import structlog

from jobs.models import Job
from jobs.runs.metrics import SampledMetric, list_curve_steps
from worker.resources import Resources
from worker.runs.checkpoints import RunCheckpoints
from worker.runs.recorder import TRANSIENT_ERRORS, Recorder

log = structlog.get_logger()


class MissingMetrics:
    """For one run; made before its training process begins to speak."""

    def __init__(self, resources: Resources, job: Job, checkpoints: RunCheckpoints, recorder: Recorder) -> None:
        self._resources = resources
        self._job = job
        self._checkpoints = checkpoints
        self._recorder = recorder
        # Nobody adds to the curve of the earlier runs any more.
        self._stored_steps = self._find_stored_steps() if job.attempt > 1 else []

    def find(self, step: int) -> list[SampledMetric]:
        """Those up to the checkpoint of this step that come after what the database has up to there."""
        if self._stored_steps is None:
            return []
        last_stored = max((stored for stored in self._stored_steps if stored <= step), default=0)
        try:
            metrics = self._checkpoints.read_metrics(step)
        except OSError as error:
            # The training goes on, whatever its curve lacks.
            log.warning("metrics_not_read", job_id=self._job.id, attempt=self._job.attempt, reason=str(error))
            return []
        missing = [metric for metric in metrics if last_stored < metric.step <= step]
        if missing:
            log.info("metrics_recovered", job_id=self._job.id, attempt=self._job.attempt, count=len(missing))
        return missing

    def _find_stored_steps(self) -> list[int] | None:
        """A database that is away is waited for, unless the run has to end meanwhile."""
        while True:
            try:
                with self._resources.database.read() as session:
                    return list_curve_steps(session, job_id=self._job.id)
            except TRANSIENT_ERRORS as error:
                if self._recorder.is_lost or self._resources.drain.is_requested:
                    return None
                log.warning("curve_not_read", job_id=self._job.id, reason=str(error))
                time.sleep(self._resources.settings.heartbeat_seconds)
