"""Base models with random weights. Other processes make them, since Unsloth must be imported before transformers."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.gpu.turns import having_the_gpu
from tests.model.tiny_training import REPOSITORY


@pytest.fixture(scope="session", autouse=True)
def cuda() -> None:
    """Some trainings would also succeed on a CPU, and show nothing."""
    assert torch.cuda.is_available(), "the tests of the marker gpu need CUDA, and PyTorch finds none"


@pytest.fixture(autouse=True)
def turn(request: pytest.FixtureRequest) -> Iterator[None]:
    alone = request.node.get_closest_marker("alone") is not None
    with having_the_gpu(Path(tempfile.gettempdir()), alone=alone):
        yield


@pytest.fixture(scope="session")
def tiny_gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Imported here, since it imports transformers, and what tests/conftest.py says of warnings doesn't hold before all
    # conftest files are read.
    from tests.support.tiny_gemma import make_tiny_gemma

    return make_tiny_gemma(tmp_path_factory.mktemp("base") / "tiny-gemma")


@pytest.fixture(scope="session")
def gemma_270m_shape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model with the layers of Gemma 3 270M and the tokenizer of the tiny model."""
    folder = tmp_path_factory.mktemp("base") / "gemma-270m-shape"
    argv = [sys.executable, "-m", "scripts.make_gemma_shape", str(folder), "--shape", "270m"]
    subprocess.run(argv, check=True, cwd=REPOSITORY)
    return folder
