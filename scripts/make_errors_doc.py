"""Write docs/errors.md from jobs/failure_codes.py: every code that a job's error can have.

python -m scripts.make_errors_doc
"""

from pathlib import Path

from jobs.failure_codes import CODES
from worker.outcome import CUDA_OUT_OF_MEMORY, TRANSIENT_CODES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
# What the worker sees of a process that died, or couldn't go on, and of itself.
CRASH_CODES = TRANSIENT_CODES | {
    "bundle_invalid",
    "trainer_crashed",
    "trainer_killed",
    "trainer_stalled",
    "worker_error",
    "worker_lost",
}
HEAD = """# Why a job failed

A failed job has an `error` with `code`, `message`, `advice` and `log`, the last lines of its training process's log; `GET /jobs/{job_id}/runs` has the same for each
attempt, with the peak memory of GPU and machine. Errors of HTTP calls have codes of their own, which come with a message that says what to do.

What counts as a *crash* is tried again from the last checkpoint, up to `EMOTUNE_MAX_CRASHES` crashes in all (3). Interruptions (pause, preemption, a
worker that leaves, a machine that is started anew) may happen as often as they like, and are no error of the job. With `auto_batch` in its
config a job that meets a full GPU is begun once more with half the `batch_size` and twice the `gradient_accumulation`.

| code | what happened | what to change | then |
| --- | --- | --- | --- |
"""


def render() -> str:
    """The page as it has to be."""
    return HEAD + "".join(
        f"| `{code}` | {CODES[code].what} | {CODES[code].advice} | {_describe_sequel(code)} |\n"
        for code in sorted(CODES)
    )


def _describe_sequel(code: str) -> str:
    if code in CRASH_CODES:
        return "tried again, as a crash"
    if code == CUDA_OUT_OF_MEMORY:
        return "fails, or once more with `auto_batch`"
    return "goes on" if code in {"installation_restored", "machine_restarted"} else "fails"


def main() -> None:
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
