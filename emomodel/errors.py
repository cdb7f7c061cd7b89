"""Why a training or generating process gives up, in words for the owner of the job. [light]

    ModelError
    ├── DatasetRefused     the dataset can't be made into samples
    │   └── DatasetChanged the dataset's file is not the one that the job was made with
    ├── NoTargets          no example has a token to learn within max_length
    ├── ModelLoadFailed    the base model, or its tokenizer, can't be loaded
    ├── LossDiverged       the loss is not a finite number, or has exploded
    ├── OutputExists       the output folder holds files already
    ├── CheckpointUnusable the checkpoint is damaged or not of this training; another is taken, or none
    ├── BundleMismatch     the bundle's pieces don't fit each other or the base model
    └── PromptRefused      the prompt can't be made a chat of the base model

The message says what happened. `code` is what a Failure line carries; emomodel.failure_codes has the advice to it.
"""


class Stopped(Exception):
    """The training ended before its time, because it was asked to. No ModelError: nothing went wrong."""


class ModelError(Exception):
    """The model can't be trained or used."""

    code = "failed"


class DatasetRefused(ModelError):
    """The dataset can't be made into samples."""

    code = "dataset_invalid"


class DatasetChanged(DatasetRefused):
    """The dataset's file is not the one that the job was made with."""

    code = "dataset_changed"


class NoTargets(ModelError):
    """No example has a token to learn."""

    code = "no_targets"


class ModelLoadFailed(ModelError):
    """The base model can't be loaded."""

    code = "model_load_failed"


class LossDiverged(ModelError):
    """The loss is not a finite number, or has exploded."""

    code = "loss_diverged"


class OutputExists(ModelError):
    """The output folder holds files already."""

    code = "output_exists"


class CheckpointUnusable(ModelError):
    """The checkpoint is damaged, or not of this training."""

    code = "checkpoint_unusable"


class BundleMismatch(ModelError):
    """The bundle's pieces don't fit."""

    code = "bundle_mismatch"


class PromptRefused(ModelError):
    """The prompt can't be made a chat of the base model."""

    code = "prompt_invalid"
