"""The spare process: it waits, answers at once, and then is a training process as any other."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from emomodel.protocol.progress import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_ORPHANED,
    EXIT_STOPPED,
    STOP_REQUEST,
    Failure,
    Metric,
    Phase,
    Ready,
    Result,
    parse_line,
    write_request_line,
)
from emomodel.spare import import_if_installed
from tests.model.tiny_training import make_request, start_spare, start_training

pytestmark = pytest.mark.model

# What a training may import after a spare's imports: small modules whose use depends on the model and the machine.
LATE_MODULE_COUNT = 25

LIST_LATE_IMPORTS = """
import json, os, sys
from pathlib import Path
from typing import Any
from emomodel.spare import preload
preload()
before = set(sys.modules)
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import LineReporter
from emomodel.protocol.train_request import TrainRequest
from emomodel.training.train import run_training
request = TrainRequest.model_validate_json(Path(sys.argv[1]).read_bytes())
with open(os.devnull, "w") as nowhere:
    run_training(request, LineReporter(nowhere), RunRequests())
print(json.dumps(sorted(set(sys.modules) - before)))
"""


# Stands for the real one: it waits for a file, and then finds no memory.
FAILING_TORCH = """
import time
from pathlib import Path
while not Path({signal_file!r}).exists():
    time.sleep(0.01)
raise MemoryError
"""


@contextmanager
def waiting_spare(folder: Path, *, journal: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """A spare that has reported that it is ready."""
    with start_spare(folder, journal=journal) as spare:
        try:
            assert spare.stdout is not None
            assert parse_line(spare.stdout.readline()) == Ready()
            yield spare
        finally:
            spare.kill()


def order(spare: subprocess.Popen[str], request_path: Path, *requests: str) -> None:
    assert spare.stdin is not None
    spare.stdin.write("\n".join([write_request_line(request_path), *requests]) + "\n")
    spare.stdin.flush()


def write_request(folder: Path, base: Path, **config: Any) -> Path:
    request = make_request(folder, base, **config)
    path = folder / "request.json"
    path.write_text(request.model_dump_json())
    return path


def test_a_spare_gives_the_losses_of_a_process_that_began_with_its_request(tmp_path: Path, tiny_gemma: Path) -> None:
    journal = tmp_path / "journal"
    path = write_request(tmp_path / "spare", tiny_gemma, max_steps=3)
    with waiting_spare(tmp_path, journal=journal) as spare:
        assert psutil.Process(spare.pid).cwd() == str(tmp_path)
        assert journal.exists() is False
        order(spare, path)
        assert spare.stdout is not None
        lines = [parse_line(line) for line in spare.stdout]
        assert spare.wait() == EXIT_OK
    phases = [line.name for line in lines if isinstance(line, Phase)]
    assert phases == ["importing", "loading_model", "loading_dataset", "training", "saving"]
    assert isinstance(lines[-1], Result)
    starts = [event for event in map(json.loads, journal.read_text().splitlines()) if event["event"] == "start"]
    assert [start["attempt"] for start in starts] == ["spare"]

    with start_training(make_request(tmp_path / "new", tiny_gemma, max_steps=3)) as fresh:
        others = [parse_line(line) for line in fresh.stdout or ()]
    assert [line.loss for line in lines if isinstance(line, Metric)] == [
        line.loss for line in others if isinstance(line, Metric)
    ]


def test_a_spare_works_in_the_folder_of_its_request_and_obeys_what_follows(tmp_path: Path, tiny_gemma: Path) -> None:
    path = write_request(tmp_path / "run", tiny_gemma, epochs=1000)
    with waiting_spare(tmp_path) as spare:
        order(spare, path)
        assert spare.stdout is not None
        while not isinstance(parse_line(spare.stdout.readline()), Metric):
            pass
        assert psutil.Process(spare.pid).cwd() == str(path.parent)
        assert spare.stdin is not None
        spare.stdin.write(f"{STOP_REQUEST}\n")
        spare.stdin.flush()
        spare.stdout.read()
        assert spare.wait() == EXIT_STOPPED


def test_a_stop_right_behind_the_request_ends_it_before_it_reads_the_dataset(tmp_path: Path, tiny_gemma: Path) -> None:
    path = write_request(tmp_path / "run", tiny_gemma)
    with waiting_spare(tmp_path) as spare:
        order(spare, path, STOP_REQUEST)
        assert spare.stdout is not None
        phases = [parse_line(line) for line in spare.stdout]
        assert spare.wait() == EXIT_STOPPED
    # Whether the stop comes before the model is loaded, or right after, is chance.
    assert phases[0] == Phase(name="importing")
    assert Phase(name="loading_dataset") not in phases
    assert not (path.parent / "output").exists()


@pytest.mark.parametrize("is_ready", [True, False])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_spare_without_a_request_leaves_at_once_when_it_is_asked_to(
    tmp_path: Path, is_ready: bool, number: signal.Signals
) -> None:
    with start_spare(tmp_path) as spare:
        wait_until(spare, is_ready=is_ready)
        spare.send_signal(number)
        assert spare.stdout is not None
        assert (spare.stdout.read(), spare.wait()) == ("", EXIT_OK)


@pytest.mark.parametrize("is_ready", [True, False])
def test_a_spare_whose_worker_is_gone_ends(tmp_path: Path, is_ready: bool) -> None:
    with start_spare(tmp_path) as spare:
        wait_until(spare, is_ready=is_ready)
        # Closes its standard input.
        spare.communicate(timeout=60)
    assert spare.returncode == EXIT_ORPHANED


def wait_until(spare: subprocess.Popen[str], *, is_ready: bool) -> None:
    """Wait until a spare is ready, or else until it imports torch: then it has taken the signals."""
    assert spare.stdout is not None
    if is_ready:
        assert parse_line(spare.stdout.readline()) == Ready()
        return
    process = psutil.Process(spare.pid)
    while not any("libtorch" in entry.path for entry in process.memory_maps()):
        assert spare.poll() is None


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels have no such score")
def test_the_kernel_ends_a_spare_first_and_a_training_no_sooner_than_others(tmp_path: Path, tiny_gemma: Path) -> None:
    path = write_request(tmp_path / "run", tiny_gemma, epochs=1000)
    score = Path("/proc/self/oom_score_adj").read_text()
    with waiting_spare(tmp_path) as spare:
        own = Path(f"/proc/{spare.pid}/oom_score_adj")
        assert own.read_text().strip() == "1000"
        order(spare, path)
        assert spare.stdout is not None
        while parse_line(spare.stdout.readline()) != Phase(name="loading_model"):
            pass
        assert own.read_text() == score


def test_a_training_imports_next_to_nothing_that_a_spare_has_not(tmp_path: Path, tiny_gemma: Path) -> None:
    path = write_request(tmp_path, tiny_gemma, max_steps=1)
    argv = [sys.executable, "-P", "-c", LIST_LATE_IMPORTS, str(path)]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"})
    late = json.loads(done.stdout.splitlines()[-1])
    assert not [name for name in late if name.startswith("emomodel")]
    assert len(late) < LATE_MODULE_COUNT, late


def test_a_package_that_is_not_installed_is_not_preloaded() -> None:
    """scikit-learn, which transformers imports if it is there, is in no extra."""
    import_if_installed(("no_such_package.metrics", "no_such_package", "json.no_such_module", "wave"))
    assert "wave" in sys.modules


def test_imports_that_fail_after_the_request_fail_the_job_with_a_reason(tmp_path: Path, tiny_gemma: Path) -> None:
    path = write_request(tmp_path / "run", tiny_gemma)
    packages, signal_file = tmp_path / "packages", tmp_path / "fail"
    packages.mkdir()
    (packages / "torch.py").write_text(FAILING_TORCH.format(signal_file=str(signal_file)))
    with start_spare(tmp_path, packages=packages) as spare:
        order(spare, path)
        assert spare.stdout is not None
        assert parse_line(spare.stdout.readline()) == Phase(name="importing")
        signal_file.touch()
        (failure,) = [parse_line(line) for line in spare.stdout]
        assert spare.wait() == EXIT_FAILED
    assert isinstance(failure, Failure)
    assert failure.code == "host_out_of_memory"
