"""A process's own log: one line per event on standard error, including those of libraries, as text or as JSON."""

import logging
import sys

import structlog

from jobs.settings import LogFormat
from jobs.telemetry.tracing import add_trace_ids

# These loggers report each message received, sent and done: for the sweep, several lines every few seconds.
CHATTY_LOGGERS = ("celery.app.trace", "celery.beat", "celery.worker.strategy")


def configure_logging(level: str, log_format: LogFormat = "text") -> None:
    """Send structlog and the standard library's logging the same way. `level` is a name such as `info`."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_trace_ids,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_make_renderers(log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Otherwise Python's warnings would be lines of another form.
    logging.captureWarnings(True)
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel("DEBUG" if level == "debug" else "WARNING")


def _make_renderers(log_format: LogFormat) -> list[structlog.typing.Processor]:
    """The last processors of each format.

    Tracebacks are plain: the defaults would show local variables, such as API keys.
    """
    if log_format == "json":
        return [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ]
    return [
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    ]
