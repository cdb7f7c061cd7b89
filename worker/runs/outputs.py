"""Stores the outputs of a run as artifacts: bundle, metrics, loss curve, row report, log."""

from dataclasses import dataclass
from pathlib import Path

from emomodel.bundles.bundle import pack
from jobs.files.storage import LOG_FILE, METRICS_FILE, OUTPUT_FOLDER, ROW_REPORT_FILE, Storage
from jobs.models import Artifact

BUNDLE_FILE = "bundle.zip"


@dataclass(frozen=True)
class Output:
    """A file of a run's folder that becomes an artifact."""

    kind: str
    path: str
    media_type: str


BUNDLE = Output("bundle", BUNDLE_FILE, "application/zip")
# Each of these may exist or not, however the run ended.
TRACES = (
    Output("metrics", METRICS_FILE, "application/x-ndjson"),
    Output("loss_curve", f"{OUTPUT_FOLDER}/loss_curve.png", "image/png"),
    Output("row_report", ROW_REPORT_FILE, "application/vnd.apache.parquet"),
    Output("log", LOG_FILE, "text/plain; charset=utf-8"),
)


def store_bundle(storage: Storage, folder: Path, *, job_id: str, attempt: int) -> Artifact:
    """Pack and store the output of the training process. Raises BundleError."""
    pack(folder / OUTPUT_FOLDER, folder / BUNDLE_FILE)
    return _store(storage, folder, BUNDLE, job_id, attempt)


def store_traces(storage: Storage, folder: Path, *, job_id: str, attempt: int) -> list[Artifact]:
    """Store the traces that exist and are not empty."""
    found = [output for output in TRACES if _has_content(folder / output.path)]
    return [_store(storage, folder, output, job_id, attempt) for output in found]


def _store(storage: Storage, folder: Path, output: Output, job_id: str, attempt: int) -> Artifact:
    source = folder / output.path
    filename = _make_filename(output, attempt)
    size_bytes, sha256 = storage.put_artifact(job_id, filename, source)
    return Artifact(
        job_id=job_id,
        kind=output.kind,
        filename=filename,
        media_type=output.media_type,
        size_bytes=size_bytes,
        sha256=sha256,
    )


def withdraw_artifacts(storage: Storage, *, job_id: str, attempt: int) -> None:
    """Delete the artifacts that this attempt has stored, if any."""
    for output in (BUNDLE, *TRACES):
        storage.delete_artifact(job_id, _make_filename(output, attempt))


def _make_filename(output: Output, attempt: int) -> str:
    """Make the artifact's file name. With the attempt, a run considered dead can't replace its successor's file."""
    path = Path(output.path)
    return f"{path.stem}-{attempt}{path.suffix}"


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
