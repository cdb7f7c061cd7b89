"""The checks of files find each violation, and nothing when all is in order."""

import hashlib
from pathlib import Path

from jobs.files.keys import make_artifact_key
from jobs.models import Artifact
from jobs.status import JobStatus
from tests.chaos.evidence import Evidence
from tests.chaos.file_checks import check_artifacts, check_leftovers
from tests.chaos.test_checks import JOB, make_evidence

CONTENT = b"a log"


def make_failed(tmp_path: Path) -> tuple[Evidence, Path]:
    """Make a failed job with one artifact, its log; returns the evidence and that file."""
    evidence = make_evidence(tmp_path)
    evidence.jobs[JOB].status = JobStatus.FAILED
    digest = hashlib.sha256(CONTENT).hexdigest()
    artifact = Artifact(job_id=JOB, kind="log", filename="log-1.txt", size_bytes=len(CONTENT), sha256=digest)
    evidence.artifacts[JOB].append(artifact)
    path = evidence.storage.root / make_artifact_key(JOB, artifact.filename)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return evidence, path


def test_files_in_order_violate_nothing(tmp_path: Path) -> None:
    evidence, _ = make_failed(tmp_path)
    assert [*check_artifacts(evidence), *check_leftovers(evidence)] == []


def test_a_missing_and_an_altered_file_are_found(tmp_path: Path) -> None:
    evidence, path = make_failed(tmp_path)
    path.write_bytes(b"a lie")
    assert "is not what its row says" in next(check_artifacts(evidence))
    path.unlink()
    assert "is missing" in next(check_artifacts(evidence))


def test_a_success_needs_a_complete_bundle(tmp_path: Path) -> None:
    evidence, path = make_failed(tmp_path)
    evidence.jobs[JOB].status = JobStatus.SUCCEEDED
    assert "without a bundle" in next(check_artifacts(evidence))
    evidence.artifacts[JOB][0].kind = "bundle"
    assert "its bundle is broken" in next(check_artifacts(evidence))
    assert path.is_file()


def test_files_without_a_row_and_leftovers_of_a_run_are_found(tmp_path: Path) -> None:
    evidence, path = make_failed(tmp_path)
    path.with_name("bundle-1.zip").write_bytes(b"PK")
    (evidence.storage.get_run_folder(JOB, 1) / "checkpoints").mkdir(parents=True)
    left, unnamed = check_leftovers(evidence)
    assert left.startswith("left over: ")
    assert "no row points at" in unnamed
