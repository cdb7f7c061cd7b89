"""Why a run ended: every code that a job's error can have, what happened, and what to change.

Those of the training process are emomodel's; the worker adds what only it sees. docs/errors.md is this list.
"""

from emomodel.errors import FAILURE_CODES, FailureCode

WORKER_CODES: dict[str, FailureCode] = {
    "base_model_unknown": FailureCode(
        "The base model is not on the operator's list any more.", "Take one that `GET /models` lists."
    ),
    "base_model_missing": FailureCode(
        "The base model's files are not there.", "The operator has to restore them, or to take the model off the list."
    ),
    "dataset_not_found": FailureCode(
        "The dataset's file is not in storage any more.",
        "The operator has to restore it from a backup; or upload the dataset again and make a new job.",
    ),
    "bundle_invalid": FailureCode(
        "The training process left no whole bundle.", "Look at the job's log; if it comes back, report it."
    ),
    "config_invalid": FailureCode(
        "The release that ran the job can't use its config, which an earlier one had taken.",
        "Post the job again with the config mended as the message says.",
    ),
    "installation_restored": FailureCode(
        "The installation was restored from a backup that was made while the job ran.",
        "Nothing: the job goes on from the last checkpoint in the backup.",
    ),
    "machine_restarted": FailureCode(
        "The machine was started anew while the job ran.", "Nothing: the job goes on from its last checkpoint."
    ),
    "timeout": FailureCode(
        "The job has used up its time.", "Post it again with a longer timeout_seconds, or with fewer epochs."
    ),
    "trainer_crashed": FailureCode(
        "The training process ended without saying why.", "The last lines of its log tell more."
    ),
    "trainer_killed": FailureCode(
        "The training process was killed by a signal that the worker had not sent.",
        "Ask the operator who ends processes on that machine; the kernel's log names what it killed itself.",
    ),
    "trainer_stalled": FailureCode(
        "The training process had said nothing for EMOTUNE_SILENCE_SECONDS.",
        "Have the operator look at the GPU; where a step really takes so long, raise the setting.",
    ),
    "worker_error": FailureCode(
        "The worker failed at something beside the training.", "The worker's log tells more; the operator can mend it."
    ),
    "worker_lost": FailureCode(
        "The worker gave no sign of life for EMOTUNE_LEASE_SECONDS.",
        "Have the operator look at the worker's machine: it was killed, cut off, or far too busy.",
    ),
}

CODES: dict[str, FailureCode] = FAILURE_CODES | WORKER_CODES


def find_advice(code: str) -> str | None:
    """What to change; None for a code of a later release."""
    return CODES[code].advice if code in CODES else None
