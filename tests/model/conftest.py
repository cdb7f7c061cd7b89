"""One tiny base model and one trained bundle for all tests of the model."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from emomodel.bundles.bundle import pack
from emomodel.protocol.progress import parse_progress
from tests.model.tiny_training import Trained, make_request, start_training
from tests.support.tiny_gemma import make_tiny_gemma


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_gemma(tmp_path_factory.mktemp("base") / "tiny-gemma")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_gemma: Path) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    request = make_request(folder, tiny_gemma)
    # The pipe to its input stays open while it trains, as a supervisor's does.
    with start_training(request, "--supervised") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        progress = [parse_progress(line) for line in process.stdout]
        log = process.stderr.read()
        exit_code = process.wait(timeout=60)
    assert exit_code == 0, log
    zip_path = pack(request.output_dir, folder / "bundle.zip")
    return Trained(request, request.output_dir, zip_path, exit_code, progress, log)
