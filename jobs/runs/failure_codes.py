"""Every code that the error of a job can have: what happened, and what to change.

emomodel defines the codes of the training process; the worker adds those that only it can see. docs/errors.md shows
this list.
"""

from emomodel.errors import FAILURE_CODES, FailureCode

WORKER_CODES: dict[str, FailureCode] = {
    "base_model_unknown": FailureCode(
        "The base model is no longer on the operator's list.", "Use one that `GET /models` lists."
    ),
    "base_model_missing": FailureCode(
        "The base model's files are missing.", "The operator has to restore them, or remove the model from the list."
    ),
    "dataset_not_found": FailureCode(
        "The dataset's file is no longer in storage.",
        "Ask the operator to restore it from a backup, or upload the dataset again and post a new job.",
    ),
    "bundle_invalid": FailureCode(
        "The training process left no complete bundle.", "Look at the job's log; if it happens again, report it."
    ),
    "config_invalid": FailureCode(
        "The release that ran the job rejects its config, which an earlier release had accepted.",
        "Post the job again with the config changed as the message says.",
    ),
    "installation_restored": FailureCode(
        "The installation was restored from a backup that was made while the job ran.",
        "Nothing: the job is resumed from its last checkpoint in the backup.",
    ),
    "machine_restarted": FailureCode(
        "The machine was restarted while the job ran.", "Nothing: the job is resumed from its last checkpoint."
    ),
    "timeout": FailureCode(
        "The job has exceeded its time limit.", "Post it again with a longer timeout_seconds, or with fewer epochs."
    ),
    "trainer_crashed": FailureCode(
        "The training process ended without giving a reason.", "Look at the last lines of its log."
    ),
    "trainer_killed": FailureCode(
        "The training process was killed by a signal that the worker did not send.",
        "Ask the operator what ends processes on that machine; the kernel's log names those that it killed itself.",
    ),
    "trainer_stalled": FailureCode(
        "The training process had reported nothing for EMOTUNE_SILENCE_SECONDS.",
        "Ask the operator to look at the GPU; if a step really takes that long, raise the setting.",
    ),
    "worker_error": FailureCode(
        "The worker failed outside the training.", "Ask the operator, who finds the cause in the worker's log."
    ),
    "worker_lost": FailureCode(
        "The worker sent no heartbeat for EMOTUNE_LEASE_SECONDS.",
        "Ask the operator to look at the worker's machine: the worker was killed, disconnected, or overloaded.",
    ),
}

CODES: dict[str, FailureCode] = FAILURE_CODES | WORKER_CODES


def find_advice(code: str) -> str | None:
    """The advice on what to change; None for a code of a later release."""
    return CODES[code].advice if code in CODES else None
