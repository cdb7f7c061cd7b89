"""Reads the undamaged part of a metrics.jsonl, of a run's folder or of a checkpoint.

Its writer may have been killed, or its disk may have lost what was written last.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog
from pydantic import ValidationError

from jobs.runs.metrics import SampledMetric

log = structlog.get_logger()


def read_metric_file(path: Path) -> list[SampledMetric]:
    """Read the metrics up to the first damaged or incomplete line; none where the file can't be read."""
    return list(parse_metrics(read_whole_lines(path)))


def read_whole_lines(path: Path) -> list[bytes]:
    """Read the complete lines, unparsed. Bytes after the last line break are an incomplete line."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("metrics_not_read", path=str(path), reason=str(error))
        return []
    return content.split(b"\n")[:-1]


def parse_metrics(lines: Iterable[bytes], *, after_step: int = 0) -> Iterator[SampledMetric]:
    """Parse metrics up to the first line that is damaged, or whose step does not grow, as a run's steps do."""
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
