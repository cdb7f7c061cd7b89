"""Errors that a user, the owner of a job or an operator can cause and put right, and the codes of failed trainings.

Every such error of emomodel derives from EmomodelError and has a `code`; its message says what is wrong and what to do.
Any other exception is a bug, or a fault of the machine, and keeps its traceback. An error is defined in the module that
raises it, unless several modules do. Names in brackets are the codes.

    EmomodelError (failed)
    ├── ModelError (failed)                             a training, an import or a generation can't continue
    │   ├── DatasetRefused (dataset_invalid)            the dataset can't be made into samples
    │   │   └── DatasetChanged (dataset_changed)        the dataset's file is not the one that the job was made with
    │   ├── NoTargets (no_targets)                      no example has a token to learn within max_length
    │   ├── ModelLoadFailed (model_load_failed)         the base model, or its tokenizer, can't be loaded
    │   ├── LossDiverged (loss_diverged)                the loss is not a finite number, or has exploded
    │   ├── OutputExists (output_exists)                the output folder is not empty
    │   ├── SeveralProcesses (several_processes)        several processes for one training; process.py
    │   ├── CheckpointUnusable (checkpoint_unusable)    a checkpoint is damaged, or belongs to another training
    │   ├── BundleMismatch (bundle_mismatch)            parts of a bundle fit neither each other nor the base model
    │   ├── PromptRefused (prompt_invalid)              a prompt can't be written in the base model's chat format
    │   ├── NotFinite (logits_not_finite)               the model's logits are not finite; evaluation/reference.py
    │   └── ImportRefused (import_refused)              not a folder of the original project; conversion/
    ├── BundleError (bundle_invalid)                    bundles/manifest.py
    │   ├── NotABundle (bundle_unreadable)              not a zip, no manifest in it, or a broken one
    │   ├── NewerFormat (bundle_newer)                  made by a newer emomodel, in a format unknown here
    │   ├── UnsafeBundle (bundle_unsafe)                a path out of the folder, a link, a name twice, a huge size
    │   ├── FileMissing (bundle_file_missing)           a file that the manifest lists is missing
    │   ├── FileUnexpected (bundle_file_unexpected)     a file is present that the manifest doesn't list
    │   └── FileAltered (bundle_file_altered)           a file's size or sha256 differs from the manifest's
    ├── ConversionError (conversion_failed)             conversion/folder.py
    │   ├── GgufInvalid (gguf_invalid)                  the source is not the GGUF file that was expected
    │   ├── ConversionWrong (conversion_wrong)          the converted model doesn't predict as it should
    │   ├── FolderOccupied (folder_occupied)            the target folder holds something else
    │   └── PackagesMissing (packages_missing)          packages that the conversion needs are not installed
    ├── ExampleError (dataset_invalid)                  data/problems.py
    │   ├── ExampleInvalid (example_invalid)            one line is not an example
    │   └── LinesInvalid (dataset_invalid)              a file holds a line that is not an example
    ├── SourceTooLarge (dataset_too_large)              the decompressed file exceeds the limit; data/formats/source.py
    ├── CompressedDamagedError (compressed_damaged)     the compressed file is damaged; data/formats/source.py
    ├── PagesUnreadableError (parquet_unreadable)       damaged pages of a column; data/formats/parquet_pages.py
    ├── MappingError (mapping_invalid)                  the mapping of labels can't be used; data/formats/mapping.py
    ├── ChatError (chat_invalid)                        samples/chat_text.py
    │   ├── TemplateMissing (template_missing)          the tokenizer has no chat template
    │   ├── TemplateUnsuitable (template_unsuitable)    the chat template refuses the turns, or changes their text
    │   ├── ControlTokenInText (control_token)          a control token in a turn's text; samples/chat.py
    │   └── TokenizerUnusable (tokenizer_unusable)      tokenizer files missing or broken; samples/light_tokenizer.py
    ├── AxesInvalid (axes_invalid)                      the names are not those of axes; emotions.py
    ├── EmotionError (emotion_invalid)                  emotions.py
    │   ├── UnknownEmotion (emotion_unknown)            a name that is neither an axis nor a pole
    │   ├── EmotionOutOfRange (emotion_out_of_range)    a value outside the range of its name, or not finite
    │   ├── AxisGivenTwice (emotion_axis_twice)         two names are on the same axis
    │   └── WrongVectorLength (emotion_vector_length)   a list that doesn't have one number per axis
    ├── EmotionUnreadable (emotion_unreadable)          a typed emotion can't be read; generation/spoken_emotion.py
    ├── ScheduleTooShort (schedule_too_short)           fewer emotions than tokens of the reply; generation/writing.py
    ├── SamplingInvalid (sampling_invalid)              a sampling setting is out of range; generation/sampling.py
    └── ProgressError (progress_invalid)                a line is not a progress line; protocol/progress.py
"""

from dataclasses import dataclass
from typing import ClassVar


class Stopped(Exception):
    """The training ended early because it was asked to. Nothing went wrong, so this is not an EmomodelError."""


class EmomodelError(Exception):
    """A user, the owner of a job or an operator caused this and can put it right; the message says how."""

    code: ClassVar[str] = "failed"


class ModelError(EmomodelError):
    """A training, an import or a generation can't continue."""


class DatasetRefused(ModelError):
    """The dataset can't be made into samples."""

    code = "dataset_invalid"


class DatasetChanged(DatasetRefused):
    """The dataset's file is not the one that the job was made with."""

    code = "dataset_changed"


class NoTargets(ModelError):
    """No example has a token to learn within max_length."""

    code = "no_targets"


class ModelLoadFailed(ModelError):
    """The base model, or its tokenizer, can't be loaded."""

    code = "model_load_failed"


class LossDiverged(ModelError):
    """The loss is not a finite number, or has exploded."""

    code = "loss_diverged"


class OutputExists(ModelError):
    """The output folder is not empty."""

    code = "output_exists"


class SeveralProcesses(ModelError):
    """A launcher has started several processes for one training, which would all write into its folders."""

    code = "several_processes"


class CheckpointUnusable(ModelError):
    """The checkpoint is damaged, or belongs to another training; an older one is used, or none."""

    code = "checkpoint_unusable"


class BundleMismatch(ModelError):
    """Parts of a bundle don't fit each other, or don't fit the base model."""

    code = "bundle_mismatch"


class PromptRefused(ModelError):
    """The prompt can't be written in the base model's chat format."""

    code = "prompt_invalid"


def get_first_line(error: Exception) -> str:
    """The first line of the error's message, or the name of its class if it has none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


@dataclass(frozen=True)
class FailureCode:
    """Words for one code of a failed training.

    `what`: what happened, for an error without a message of its own. `advice`: what the owner of the job can change.
    Both are whole sentences.
    """

    what: str
    advice: str


FAILURE_CODES: dict[str, FailureCode] = {
    "request_invalid": FailureCode(
        "The training request can't be read.",
        "Run worker and training process with one version of emotune.",
    ),
    "dataset_invalid": FailureCode(
        "The dataset can't be made into samples.", "Correct the lines that are named and upload the dataset again."
    ),
    "dataset_changed": FailureCode(
        "The dataset's file is not the one that the job was made with.",
        "Upload the dataset again and post a new job.",
    ),
    "no_targets": FailureCode("No example has a token to learn.", "Raise max_length, or shorten the prompts."),
    "model_load_failed": FailureCode(
        "The base model, or its tokenizer, can't be loaded.",
        "Choose another base model, or ask the operator to repair its folder.",
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
        "Start the job again. If the fault recurs, set acceleration to off, or ask the operator to check the GPU and "
        "its driver.",
    ),
    "disk_full": FailureCode("The disk is full.", "Free some space and start the job again."),
    "output_exists": FailureCode("The output folder holds files already.", "Choose another folder, or empty this one."),
    "several_processes": FailureCode(
        "A launcher has started several processes for one training.",
        "Start one process, without torchrun, accelerate launch or mpirun: a training uses one GPU.",
    ),
}
