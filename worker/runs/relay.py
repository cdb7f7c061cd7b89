"""Relay: passes a training process's lines on to the live stream, the database, and a file in the run's folder.

A metric is extended with the state of the slot's GPU; a phase also becomes a span.
"""

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from emomodel.protocol.progress import RESUMED, Checkpoint, Metric, Notice, Phase, Plan
from jobs.runs import claims
from jobs.runs.metrics import Cursor, MetricStream, SampledMetric
from worker.runs.news import describe_phase, describe_plan
from worker.runs.recorder import Recorder
from worker.runs.spans import PhaseSpans
from worker.slot.sampler import Sampler

log = structlog.get_logger()

News = Phase | Plan | Notice | Checkpoint


class Relay:
    """Numbers the metrics of one attempt from 1, and passes each on at once."""

    def __init__(
        self,
        path: Path,
        *,
        job_id: str,
        attempt: int,
        stream: MetricStream,
        recorder: Recorder,
        sampler: Sampler,
        phases: PhaseSpans,
        find_missing: Callable[[int], Iterable[SampledMetric]],
    ) -> None:
        """`find_missing`: the metrics that the database lacks up to the step of the checkpoint that is resumed."""
        # Line by line, so that a reader of the file never sees half a metric.
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._job_id = job_id
        self._attempt = attempt
        self._stream = stream
        self._recorder = recorder
        self._sampler = sampler
        self._phases = phases
        self._find_missing = find_missing
        self._seq = 0

    def hand_on_metric(self, metric: Metric) -> None:
        self._hand_on(self._add_sample(metric))

    def _hand_on(self, sampled: SampledMetric) -> None:
        self._seq += 1
        self._stream.publish(self._job_id, Cursor(self._attempt, self._seq), sampled)
        self._recorder.add_metric(self._seq, sampled)
        self._note(sampled.model_dump_json(exclude_none=True) + "\n")

    def hand_on_news(self, news: News) -> None:
        match news:
            case Phase():
                self._phases.enter(news.name)
                verb = partial(claims.record_phase, phase=news.name, message=describe_phase(news))
            case Plan():
                verb = partial(claims.record_plan, total_steps=news.total_steps, message=describe_plan(news))
            case Notice():
                verb = partial(claims.record_notice, notice=news)
            case Checkpoint():
                verb = partial(claims.record_checkpoint, checkpoint=news)
        self._recorder.add(partial(verb, job_id=self._job_id, attempt=self._attempt))
        if isinstance(news, Notice) and news.code == RESUMED and news.step is not None:
            # As this run's first metrics, so that every follower of the job sees them.
            for metric in self._find_missing(news.step):
                self._hand_on(metric)

    def _note(self, line: str) -> None:
        """Write to the file, which is a copy for reading later: a full disk ends the file, not the run."""
        if self._file.closed:
            return
        try:
            self._file.write(line)
        except OSError as error:
            log.warning("metrics_file_ends", job_id=self._job_id, reason=str(error))
            with contextlib.suppress(OSError):
                self._file.close()

    def _add_sample(self, metric: Metric) -> SampledMetric:
        sample = self._sampler.newest
        return SampledMetric(
            **metric.model_dump(),
            gpu_utilization_percent=sample.utilization_percent,
            gpu_memory_used_bytes=sample.memory_used_bytes,
            gpu_temperature_celsius=sample.temperature_celsius,
            gpu_power_watts=sample.power_watts,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._phases.leave()
        self._file.close()
