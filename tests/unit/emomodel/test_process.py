import errno
from pathlib import Path

import pytest
from pydantic import ValidationError

from emomodel.errors import LossDiverged
from emomodel.process import describe_failure, keep_to_one_gpu
from emomodel.request import TrainRequest


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LossDiverged("the loss became nan"), "loss_diverged"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk_full"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
    ],
)
def test_causes_that_can_be_named(error: Exception, code: str) -> None:
    failure = describe_failure(error)
    assert failure is not None
    assert failure.code == code
    assert failure.message


def test_a_request_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        TrainRequest.model_validate({"output_dir": Path("x")})
    failure = describe_failure(caught.value)
    assert failure is not None
    assert failure.code == "request_invalid"


def test_an_unforeseen_error_stays_what_it_is() -> None:
    assert describe_failure(RuntimeError("a bug")) is None
    assert describe_failure(OSError(errno.EACCES, "Permission denied")) is None


@pytest.mark.parametrize(
    ("before", "after"), [(None, "0"), ("0,1", "0"), ("3", "3"), ("GPU-5f3b, GPU-77aa", "GPU-5f3b"), ("", "")]
)
def test_a_training_process_sees_one_gpu_at_most(before: str | None, after: str) -> None:
    environment = {} if before is None else {"CUDA_VISIBLE_DEVICES": before}
    keep_to_one_gpu(environment)
    assert environment == {"CUDA_VISIBLE_DEVICES": after}
