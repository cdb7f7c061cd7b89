"""The checks of files: bundles, artifacts, and files that must not be left behind."""

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from emomodel.bundles.bundle import verify
from emomodel.bundles.manifest import BundleError
from jobs.files.keys import make_artifact_key
from jobs.files.storage import KEPT_FILES
from jobs.status import JobStatus
from tests.chaos.evidence import Evidence
from tests.chaos.twins import read_curve


def check_artifacts(evidence: Evidence) -> Iterator[str]:
    """Rows and files agree; a job that succeeded has a complete bundle with the twin's curve."""
    for job_id, job in evidence.jobs.items():
        artifacts = {artifact.kind: artifact for artifact in evidence.artifacts[job_id]}
        for artifact in artifacts.values():
            path = evidence.storage.root / make_artifact_key(job_id, artifact.filename)
            if not path.is_file():
                yield f"{job_id}: the file of {artifact.kind} is missing"
            elif _describe(path) != (artifact.size_bytes, artifact.sha256):
                yield f"{job_id}: the file of {artifact.kind} is not what its row says"
        if job.status is not JobStatus.SUCCEEDED:
            continue
        if "bundle" not in artifacts:
            yield f"{job_id} succeeded without a bundle"
            continue
        bundle = evidence.storage.root / make_artifact_key(job_id, artifacts["bundle"].filename)
        yield from _check_bundle(evidence, job_id, bundle)


def check_leftovers(evidence: Evidence) -> Iterator[str]:
    """After the garbage collection no run's folder holds more than it should, and each artifact has a row."""
    data_dir = evidence.settings.data_dir
    for path in sorted((data_dir / "runs").glob("*/*/*")):
        if path.name not in KEPT_FILES:
            yield f"left over: {path.relative_to(data_dir)}"
    known = {
        (evidence.storage.root / make_artifact_key(job_id, artifact.filename))
        for job_id, artifacts in evidence.artifacts.items()
        for artifact in artifacts
    }
    for path in sorted((data_dir / "artifacts").glob("*/*")):
        if path not in known:
            yield f"no row points at {path.relative_to(data_dir)} ({path.stat().st_size} bytes)"


def count_incoming(data_dir: Path) -> int:
    """Count half-written files, which the garbage collection removes after a day."""
    return len(list((data_dir / "incoming").glob("*")))


def _check_bundle(evidence: Evidence, job_id: str, path: Path) -> Iterator[str]:
    try:
        manifest = verify(path)
    except BundleError as error:
        yield f"{job_id}: its bundle is broken: {error}"
        return
    twin = evidence.twins[evidence.submitted[job_id].course]
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("metrics.jsonl").decode().splitlines()
    if read_curve(lines) != twin:
        yield f"{job_id}: the curve in its bundle is not the twin's"
    if manifest.metrics is None or manifest.metrics.step_count != len(twin):
        yield f"{job_id}: its manifest reports another number of steps than the twin's"


def _describe(path: Path) -> tuple[int, str]:
    with path.open("rb") as stream:
        return path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()
