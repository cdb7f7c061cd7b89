"""Write docs/errors.md: every code that a job's error can have, that the API answers with, and why a job waits.

python -m scripts.make_errors_doc
"""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from api.errors import HTTP_CODES, get_status
from jobs.errors import EmotuneError
from jobs.queue.reasons import WaitCode
from jobs.runs.failure_codes import CODES
from scripts.operator_advice import API_ERRORS, FAILURES, WAITS
from worker.runs.outcome import CUDA_OUT_OF_MEMORY, TRANSIENT_CODES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
# Codes that the worker gives to a process that died or couldn't continue, and to its own faults.
CRASH_CODES = TRANSIENT_CODES | {
    "bundle_invalid",
    "trainer_crashed",
    "trainer_killed",
    "trainer_stalled",
    "worker_error",
    "worker_lost",
}
# Codes of api/errors.py and of the readiness probe, besides those of the domain's errors and of HTTP.
OTHER_API_ERRORS = {
    "request_invalid": (
        422,
        "The body is not a JSON object, or a field or parameter is wrong or unknown; `field` names it.",
    ),
    "internal_error": (500, "An internal error occurred. The log has it, under the answer's `X-Request-ID`."),
    "database_unavailable": (
        503,
        "The database is unavailable for the moment. Send the request again in a few seconds.",
    ),
    "not_ready": (503, "Of `GET /health/ready`: something is missing."),
}
_HTTP_WHAT = {
    "request_unreadable": "The body can't be read: no UTF-8, or a form that is broken or has no file.",
    "not_found": "This path does not exist.",
    "method_not_allowed": "The path takes other methods; `Allow` lists them.",
    "body_too_large": "The body is larger than the call's limit.",
    "encoding_not_supported": "The encoding of the body is not supported.",
    "range_not_satisfiable": "The range starts outside the file.",
}
HEAD = """# Error codes

Every code that emotune reports, what it means, and what callers and operators can do: [why a job failed](#why-a-job-failed), [what the API answers](#what-the-api-answers),
[why a job waits](#why-a-job-waits). In the advice for operators *SLOT* is a slot's name; a worker's log is `docker compose logs worker-0`, or `logs/SLOT.log` in the data folder
of `emotune up`. Why a slot takes no job, and what `emotune doctor` finds, is described in [operations.md](operations.md#troubleshooting).

"""
FAILURES_HEAD = """## Why a job failed

A failed job has an `error` with `code`, `message`, `advice` and `log`, the last lines of its training process's log; `GET /jobs/{job_id}/runs` has the same for each
attempt, with the peak memory of GPU and machine.

What counts as a *crash* is tried again from the last checkpoint, up to `EMOTUNE_MAX_CRASHES` crashes in all (3). Interruptions (pause, preemption, a
worker that shuts down, a machine that is rebooted) may happen any number of times, and are not errors of the job. With `auto_batch` in its
config a job that runs out of GPU memory is started once more with half the `batch_size` and twice the `gradient_accumulation`.

| code | what happened | what to change | then | the operator |
| --- | --- | --- | --- | --- |
"""
API_HEAD = """
## What the API answers

An error's body is `{"error": {"code": ..., "message": ..., "field": ...}}`. `message` says what to do, and often more than this table.

| code | status | what is wrong | the operator |
| --- | --- | --- | --- |
"""
WAITS_HEAD = """
## Why a job waits

`queue_reason` of a waiting job, and `reason` in `GET /queue`, name the nearest reason: the one that has to be removed first.

| code | what it means | the operator |
| --- | --- | --- |
"""


def render() -> str:
    """Return the page."""
    failures = "".join(
        f"| `{code}` | {CODES[code].what} | {CODES[code].advice} | {_describe_sequel(code)} | {_show(FAILURES.get(code))} |\n"
        for code in sorted(CODES)
    )
    answers = "".join(
        f"| `{code}` | {status} | {what} | {_show(API_ERRORS.get(code))} |\n"
        for code, (status, what) in sorted(list_api_errors().items())
    )
    waits = "".join(f"| `{code}` | {WAITS[code][0]} | {_show(WAITS[code][1])} |\n" for code in WaitCode)
    return HEAD + FAILURES_HEAD + failures + API_HEAD + answers + WAITS_HEAD + waits


def list_api_errors() -> dict[str, tuple[int, str]]:
    """Return each code that an answer may have, with its status and what is wrong."""
    domain = {
        error.code: (get_status(error("")).value, _get_message(error))
        for error in _list_leaves(EmotuneError)
        if get_status(error("")) is not HTTPStatus.INTERNAL_SERVER_ERROR
    }
    http = {code: (status, _HTTP_WHAT[code]) for status, code in HTTP_CODES.items()}
    return domain | http | OTHER_API_ERRORS


def _list_leaves(cls: type[EmotuneError]) -> Iterator[type[EmotuneError]]:
    """Yield the errors that are raised: the classes of the domain's tree that have no children."""
    children = [child for child in cls.__subclasses__() if child.__module__ == EmotuneError.__module__]
    if not children:
        yield cls
    for child in children:
        yield from _list_leaves(child)


def _get_message(error: type[EmotuneError]) -> str:
    return " ".join((error.__doc__ or "").split())


def _show(advice: str | None) -> str:
    """Escape the text for a table's cell, which a bare `|` would end."""
    return (advice or "").replace("|", "\\|")


def _describe_sequel(code: str) -> str:
    if code in CRASH_CODES:
        return "tried again, as a crash"
    if code == CUDA_OUT_OF_MEMORY:
        return "fails, or is tried once more with `auto_batch`"
    return "resumes" if code in {"installation_restored", "machine_restarted"} else "fails"


def main() -> None:
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
