"""Reads metrics.jsonl, of a run's folder or of a checkpoint, as far as it is whole.

Its writer may have been killed, or its disk have lost what was written last.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog
from pydantic import ValidationError

from jobs.runs.metrics import SampledMetric

log = structlog.get_logger()


def read_metric_file(path: Path) -> list[SampledMetric]:
    """The metrics up to the first line that is damaged or only half there; none where the file can't be read."""
    return list(parse_metrics(read_whole_lines(path)))


def read_whole_lines(path: Path) -> list[bytes]:
    """Unparsed. What comes after the last line's end is half a line."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("metrics_not_read", path=str(path), reason=str(error))
        return []
    return content.split(b"\n")[:-1]


def parse_metrics(lines: Iterable[bytes], *, after_step: int = 0) -> Iterator[SampledMetric]:
    """Up to the first line that is none, or whose step is not above the one before: of a run, steps only grow."""
    for line in lines:
        try:
            metric = SampledMetric.model_validate_json(line)
        except ValidationError:
            log.warning("metrics_damaged", after_step=after_step)
            return
        if metric.step <= after_step:
            log.warning("metrics_damaged", after_step=after_step)
            return
        after_step = metric.step
        yield metric
