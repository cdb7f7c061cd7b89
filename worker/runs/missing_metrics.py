"""Recovers the metrics that the database lacks up to the checkpoint from which a run resumes.

A worker that dies may not have reported its last metrics. A checkpoint holds all metrics up to its step, so the run
that resumes from it publishes the missing ones as its own first ones: the curve is complete up to there, on whichever
machine the earlier run was and however it ended.
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
    """Finds the missing metrics of one run. Made before its training process starts to report."""

    def __init__(self, resources: Resources, job: Job, checkpoints: RunCheckpoints, recorder: Recorder) -> None:
        self._resources = resources
        self._job = job
        self._checkpoints = checkpoints
        self._recorder = recorder
        # The curve of earlier runs no longer grows.
        self._stored_steps = self._find_stored_steps() if job.attempt > 1 else []

    def find(self, step: int) -> list[SampledMetric]:
        """Return the metrics up to the checkpoint of this step that are newer than those in the database."""
        if self._stored_steps is None:
            return []
        last_stored = max((stored for stored in self._stored_steps if stored <= step), default=0)
        try:
            metrics = self._checkpoints.read_metrics(step)
        except OSError as error:
            # The training continues, even with a gap in its curve.
            log.warning("metrics_not_read", job_id=self._job.id, attempt=self._job.attempt, reason=str(error))
            return []
        missing = [metric for metric in metrics if last_stored < metric.step <= step]
        if missing:
            log.info("metrics_recovered", job_id=self._job.id, attempt=self._job.attempt, count=len(missing))
        return missing

    def _find_stored_steps(self) -> list[int] | None:
        """List the stored steps. Waits while the database is unavailable; None if the run has to end meanwhile."""
        while True:
            try:
                with self._resources.database.read() as session:
                    return list_curve_steps(session, job_id=self._job.id)
            except TRANSIENT_ERRORS as error:
                if self._recorder.is_lost or self._resources.drain.is_requested:
                    return None
                log.warning("curve_not_read", job_id=self._job.id, reason=str(error))
                time.sleep(self._resources.settings.heartbeat_seconds)
