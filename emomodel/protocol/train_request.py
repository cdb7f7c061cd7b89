"""TrainRequest: all that one training process is told, as one JSON file."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from emomodel.config import TrainConfig
from emomodel.emotions import DEFAULT_AXES


class ValidationDataset(BaseModel):
    """A dataset of its own to measure the loss on, in place of a share of the training's."""

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
    base_model: str = Field(description="The name that the adapter and the manifest carry.")
    base_model_path: str = Field(description="A local folder or a hub id: what is really loaded.")
    config: TrainConfig
    axes: tuple[str, ...] = DEFAULT_AXES.names
    output_dir: Path = Field(description="Made by the process; complete when the result line is out.")
    row_report_path: Path | None = Field(None, description="Where the loss of each example goes, if it is wanted.")
    checkpoint_dir: Path | None = Field(
        None, description="Where this attempt's checkpoints go. If it holds some, they count for going on, too."
    )
    resume_from: tuple[Path, ...] = Field(
        (), description="Checkpoints of earlier attempts, each a folder. The newest that is whole and fits is taken."
    )
    checkpoints_kept: int = Field(2, ge=1, description="So many of the last checkpoints are kept.")
    keep_best: bool = Field(True, description="Keep the checkpoint with the lowest eval_loss, too, if it is measured.")
    min_free_bytes: int = Field(0, ge=0, description="A checkpoint is not saved if less than this would be left free.")
