"""Follows a job in the terminal until its end."""

from typing import Any

from cli.client import Client
from cli.errors import CliError
from cli.progress import ProgressLine, format_duration, format_metric


class JobNotSucceeded(CliError):
    """The job has failed, or was cancelled."""


def watch_job(client: Client, job_id: str) -> dict[str, Any]:
    """Show the job's progress; returns it when it has succeeded. Raises JobNotSucceeded and ApiError."""
    line = ProgressLine()
    last: dict[str, Any] | None = None
    job: dict[str, Any] = {}
    for job, metrics in client.follow_job(job_id):
        if metrics:
            last = metrics[-1]
        line.show(_describe(job, last), phase=f"{job['status']} {job['phase']} {last is None}")
    line.finish(_describe_end(job, last))
    if job["status"] != "succeeded":
        error = job["error"] or {"code": job["status"], "message": "it was cancelled"}
        raise JobNotSucceeded(f"job {job_id} {job['status']} ({error['code']}): {error['message']}")
    return job


def _describe(job: dict[str, Any], last: dict[str, Any] | None) -> str:
    if job["status"] == "queued":
        place = f"place {job['queue_position']}" if job["queue_position"] else "no place in the queue"
        reason = job["queue_reason"]
        return f"queued, {place}" + (f": {reason['message']}" if reason else "")
    attempt = f"attempt {job['attempt']}, " if job["attempt"] > 1 else ""
    # The metrics of an attempt that died are not this one's progress.
    if last is not None and last["attempt"] == job["attempt"] and job["phase"] in ("training", "saving", None):
        return attempt + format_metric(last)
    return f"{attempt}{(job['phase'] or job['status']).replace('_', ' ')} ..."


def _describe_end(job: dict[str, Any], last: dict[str, Any] | None) -> str:
    if last is None or job["status"] != "succeeded":
        return str(job["status"])
    return (
        f"succeeded after {last['step']} steps and {format_duration(last['elapsed_seconds'])} of training, "
        f"loss {last['loss']:.3f}, {last['tokens_per_second']:,.0f} tokens/s"
    )
