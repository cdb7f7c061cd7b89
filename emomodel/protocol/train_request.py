"""TrainRequest: the JSON file that starts a training process and holds all that it needs to know."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from emomodel.config import TrainConfig
from emomodel.emotions import DEFAULT_AXES


class ValidationDataset(BaseModel):
    """A separate dataset to measure the loss on, in place of a share of the training dataset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    name: str
    sha256: str


class TrainRequest(BaseModel):
    """What `python -m emomodel train REQUEST.json` reads. Paths are absolute, or relative to the working folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset_path: Path
    dataset_name: str
    dataset_sha256: str
    validation: ValidationDataset | None = None
    base_model: str = Field(description="The base model's name in the adapter and the manifest.")
    base_model_path: str = Field(description="The local folder or hub id from which the base model is loaded.")
    config: TrainConfig
    axes: tuple[str, ...] = DEFAULT_AXES.names
    output_dir: Path = Field(description="Created by the process; complete when it has written the result line.")
    row_report_path: Path | None = Field(None, description="The file for the loss of each example, if it is wanted.")
    checkpoint_dir: Path | None = Field(
        None,
        description="The folder for this attempt's checkpoints. If it holds some, the training may resume from them.",
    )
    resume_from: tuple[Path, ...] = Field(
        (), description="Checkpoints of earlier attempts, each a folder. The newest usable one is resumed from."
    )
    checkpoints_kept: int = Field(2, ge=1, description="How many of the latest checkpoints are kept.")
    keep_best: bool = Field(True, description="Also keep the checkpoint with the lowest eval_loss, if it is measured.")
    min_free_bytes: int = Field(0, ge=0, description="A checkpoint is not saved if less than this would be left free.")
