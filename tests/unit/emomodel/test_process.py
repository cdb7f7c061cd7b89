import errno
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from emomodel import errors
from emomodel.config import TrainConfig
from emomodel.errors import FAILURE_CODES, DatasetChanged, LossDiverged, SeveralProcesses
from emomodel.process import describe_failure, keep_to_one_gpu, lasting_imports, refuse_several_processes
from emomodel.protocol.progress import EXIT_FAILED, Failure, parse_progress
from emomodel.protocol.train_request import TrainRequest

# As `python -m emomodel train`, where its packages may be missing: the refusal imports none of them.
TRAIN = """
import sys
from pathlib import Path
from emomodel.process import run_train_process
sys.exit(run_train_process(Path(sys.argv[1]), supervised=False))
"""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LossDiverged("the loss became nan"), "loss_diverged"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk_full"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "host_out_of_memory"),
        (MemoryError(), "host_out_of_memory"),
        (DatasetChanged("the dataset file has changed since the job was created"), "dataset_changed"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "cuda_error"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasGemmEx"), "cuda_error"),
        (RuntimeError("CUDA error: out of memory"), "cuda_out_of_memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "cuda_out_of_memory"),
    ],
)
def test_causes_that_can_be_named(error: Exception, code: str) -> None:
    failure = describe_failure(error)
    assert failure is not None
    assert failure.code == code
    assert failure.message.endswith(FAILURE_CODES[code].advice)
    assert failure.peak_host_bytes is not None
    assert failure.peak_host_bytes > 1 << 20
    assert failure.peak_gpu_bytes is None


def test_every_error_of_a_training_has_a_code_with_advice() -> None:
    # These are reported by other commands than `train`, or become a notice: no training fails with them.
    elsewhere = {"failed", "bundle_mismatch", "prompt_invalid", "checkpoint_unusable"}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ModelError)]
    assert {kind.code for kind in kinds} - elsewhere <= FAILURE_CODES.keys()
    assert all(code.what.endswith(".") and code.advice.endswith(".") for code in FAILURE_CODES.values())


def test_a_request_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        TrainRequest.model_validate({"output_dir": Path("x")})
    failure = describe_failure(caught.value)
    assert failure is not None
    assert failure.code == "request_invalid"


def test_an_unforeseen_error_is_not_described() -> None:
    assert describe_failure(RuntimeError("a bug")) is None
    assert describe_failure(OSError(errno.EACCES, "Permission denied")) is None


@pytest.mark.parametrize(
    ("before", "after"), [(None, "0"), ("0,1", "0"), ("3", "3"), ("GPU-5f3b, GPU-77aa", "GPU-5f3b"), ("", "")]
)
def test_a_training_process_sees_one_gpu_at_most(before: str | None, after: str) -> None:
    environment = {} if before is None else {"CUDA_VISIBLE_DEVICES": before}
    keep_to_one_gpu(environment)
    assert environment == {"CUDA_VISIBLE_DEVICES": after}


@pytest.mark.parametrize(
    "environment",
    [
        {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"},
        {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"},
        {"RANK": "1"},
        {"LOCAL_RANK": "3"},
        {"OMPI_COMM_WORLD_SIZE": "4"},
        {"PMI_SIZE": "2"},
    ],
)
def test_one_of_several_processes_of_a_launcher_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(SeveralProcesses) as caught:
        refuse_several_processes(environment)
    failure = describe_failure(caught.value)
    assert failure is not None
    assert failure.code == "several_processes"
    assert "torchrun" in failure.message


@pytest.mark.parametrize(
    "environment", [{}, {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}, {"WORLD_SIZE": "", "RANK": "x"}]
)
def test_the_only_process_of_a_launcher_may_train(environment: dict[str, str]) -> None:
    refuse_several_processes(environment)


@pytest.mark.parametrize("rank", ["0", "1"])
def test_both_ranks_of_torchrun_end_before_they_write_anything(tmp_path: Path, rank: str) -> None:
    request = TrainRequest(
        dataset_path=tmp_path / "chats.jsonl",
        dataset_name="chats",
        dataset_sha256="0",
        base_model="tiny",
        base_model_path=str(tmp_path / "tiny"),
        config=TrainConfig(),
        output_dir=tmp_path / "output",
        checkpoint_dir=tmp_path / "checkpoints",
    )
    path = tmp_path / "request.json"
    path.write_text(request.model_dump_json())
    variables = {"WORLD_SIZE": "2", "RANK": rank, "LOCAL_RANK": rank}
    done = subprocess.run(
        [sys.executable, "-P", "-c", TRAIN, str(path)], env=os.environ | variables, capture_output=True, check=False
    )
    (line,) = done.stdout.splitlines()
    failure = parse_progress(line)
    assert isinstance(failure, Failure)
    assert (done.returncode, failure.code) == (EXIT_FAILED, "several_processes")
    assert {each.name for each in tmp_path.iterdir()} == {"request.json"}


def test_the_collector_works_again_after_an_import_that_failed() -> None:
    def fail() -> None:
        assert not gc.isenabled()
        raise ImportError

    with pytest.raises(ImportError), lasting_imports():
        fail()
    assert gc.isenabled()
