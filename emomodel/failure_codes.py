"""The codes of Failure lines: what happened, and what the owner of the job can change. [light]"""

from dataclasses import dataclass


@dataclass(frozen=True)
class FailureCode:
    """`what` in general, where the error has no words of its own; `advice` in whole sentences."""

    what: str
    advice: str


FAILURE_CODES: dict[str, FailureCode] = {
    "request_invalid": FailureCode(
        "The training request can't be read.", "Worker and training process must be of one version of emotune."
    ),
    "dataset_invalid": FailureCode(
        "The dataset can't be made into samples.", "Mend the lines that are named and upload the dataset again."
    ),
    "dataset_changed": FailureCode(
        "The dataset's file is not the one that the job was made with.", "Upload the dataset again and make a new job."
    ),
    "no_targets": FailureCode("No example has a token to learn.", "Raise max_length, or shorten the prompts."),
    "model_load_failed": FailureCode(
        "The base model, or its tokenizer, can't be loaded.",
        "Take another base model, or have the operator mend its folder.",
    ),
    "loss_diverged": FailureCode(
        "The loss is not a finite number, or has exploded.",
        "Lower lora_learning_rate and emotion_learning_rate, or raise warmup_ratio.",
    ),
    "cuda_out_of_memory": FailureCode(
        "The GPU's memory is full.",
        "Lower batch_size or max_length, raise gradient_accumulation, or set gradient_checkpointing or auto_batch.",
    ),
    "host_out_of_memory": FailureCode("The machine's memory is full.", "Lower batch_size or max_length."),
    "cuda_error": FailureCode(
        "The GPU reported a fault.",
        "Start the job again; if it comes back, set acceleration to off, or have the operator look at the GPU and its "
        "driver.",
    ),
    "disk_full": FailureCode("The disk is full.", "Free some space and start the job again."),
    "output_exists": FailureCode("The output folder holds files already.", "Give another folder, or empty this one."),
}
