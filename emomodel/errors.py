"""Why a training or generating process gives up, in words for the owner of the job. [light]

    ModelError
    ├── DatasetRefused     the dataset can't be made into samples
    ├── NoTargets          no example has a token to learn within max_length
    ├── ModelLoadFailed    the base model, or its tokenizer, can't be loaded
    ├── LossDiverged       the loss is not a finite number
    ├── OutputExists       the output folder holds files already
    ├── CheckpointMismatch the checkpoint is not of this job
    ├── BundleMismatch     the bundle's pieces don't fit each other or the base model
    └── PromptRefused      the prompt can't be made a chat of the base model

`code` is what a Failure line carries.
"""


class Stopped(Exception):
    """The training ended before its time, because it was asked to. No ModelError: nothing went wrong."""


class ModelError(Exception):
    """The model can't be trained or used."""

    code = "failed"


class DatasetRefused(ModelError):
    """The dataset can't be made into samples."""

    code = "dataset_invalid"


class NoTargets(ModelError):
    """No example has a token to learn."""

    code = "no_targets"


class ModelLoadFailed(ModelError):
    """The base model can't be loaded."""

    code = "model_load_failed"


class LossDiverged(ModelError):
    """The loss is not a finite number."""

    code = "loss_diverged"


class OutputExists(ModelError):
    """The output folder holds files already."""

    code = "output_exists"


class CheckpointMismatch(ModelError):
    """The checkpoint is not of this job."""

    code = "checkpoint_mismatch"


class BundleMismatch(ModelError):
    """The bundle's pieces don't fit."""

    code = "bundle_mismatch"


class PromptRefused(ModelError):
    """The prompt can't be made a chat of the base model."""

    code = "prompt_invalid"
