"""The request file of a run: what its training process is to do, with the files it needs on this machine."""

from pathlib import Path

from emomodel.config import TrainConfig, halve_batch
from emomodel.protocol.train_request import TrainRequest, ValidationDataset
from jobs.base_models.library import ModelLibrary
from jobs.errors import DatasetNotFound
from jobs.files.storage import BASE_MODEL_FOLDER, OUTPUT_FOLDER, REQUEST_FILE, ROW_REPORT_FILE, Storage
from jobs.models import Job
from worker.resources import Resources
from worker.runs.checkpoints import RunCheckpoints


def make_config(job: Job) -> TrainConfig:
    """Return the job's config, with the smaller batches if it was started again with those."""
    config = TrainConfig.model_validate(job.config)
    return (halve_batch(config) or config) if job.batch_split > 1 else config


def write_request(resources: Resources, job: Job, folder: Path, checkpoints: RunCheckpoints) -> Path:
    """Write the request into the run's folder, which exists. Returns the request's path.

    Raises BaseModelUnknown, BaseModelMissing, DatasetNotFound and StorageUnreachable.
    """
    storage, settings = resources.storage, resources.settings
    request = TrainRequest(
        dataset_path=_lend_dataset(storage, job.dataset_id, folder),
        dataset_name=job.dataset_name,
        dataset_sha256=job.dataset_sha256,
        validation=_find_validation(storage, job, folder),
        row_report_path=folder / ROW_REPORT_FILE if job.config.get("row_report") else None,
        base_model=job.base_model,
        base_model_path=_lend_base_model(resources, job, folder / BASE_MODEL_FOLDER),
        config=make_config(job),
        axes=tuple(job.axes),
        output_dir=folder / OUTPUT_FOLDER,
        checkpoint_dir=checkpoints.folder,
        resume_from=tuple(checkpoint.path for checkpoint in checkpoints.list_earlier()),
        checkpoints_kept=settings.checkpoints_kept,
        min_free_bytes=settings.min_free_disk_bytes,
    )
    path = folder / REQUEST_FILE
    path.write_text(request.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path


def _lend_base_model(resources: Resources, job: Job, folder: Path) -> str:
    """Return the base model's folder on this machine, or its hub id."""
    folder.mkdir(exist_ok=True)
    model = ModelLibrary(resources.settings.base_models, resources.storage).lend(job.base_model, folder)
    return str(Path(model.path).expanduser().absolute()) if model.is_folder else model.path


def _lend_dataset(storage: Storage, dataset_id: str, folder: Path) -> Path:
    try:
        return storage.lend_dataset(dataset_id, folder)
    except FileNotFoundError as error:
        raise DatasetNotFound("The dataset's file is not in storage.") from error


def _find_validation(storage: Storage, job: Job, folder: Path) -> ValidationDataset | None:
    if job.validation_dataset_id is None:
        return None
    return ValidationDataset(
        path=_lend_dataset(storage, job.validation_dataset_id, folder),
        name=job.validation_dataset_name or "",
        sha256=job.validation_dataset_sha256 or "",
    )
