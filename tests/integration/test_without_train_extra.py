"""An installation without the extra `train` reports so everywhere, loses no job, and trains once it is installed."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.client import Client
from cli.credentials import Credentials, find_local_credentials
from cli.processes import start_process, wait_until
from emomodel.train_extra import INSTALL_LINE, TRAINING_PACKAGES
from jobs.python_processes import SAFE_PATH
from tests.support.light_python import LightPython
from tests.support.stacks import SAMPLE_CHATS, SHORT_CONFIG

READY_SECONDS = 60
STOP_SECONDS = 40
WAIT_SECONDS = 90

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def light_python(tmp_path: Path) -> LightPython:
    return LightPython(tmp_path / "python", without=TRAINING_PACKAGES)


def run(python: LightPython, *arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | SAFE_PATH | {"EMOTUNE_DATA_DIR": str(data_dir)}
    argv = [str(python.executable), "-m", *arguments]
    return subprocess.run(argv, env=environment, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
def stack(light_python: LightPython, tmp_path: Path, tiny_gemma: Path) -> Iterator[Client]:
    """Run `emotune up`, and yield a client when it is as ready as it can be."""
    data_dir = tmp_path / "data"
    settings = {
        "EMOTUNE_DATA_DIR": str(data_dir),
        "EMOTUNE_BASE_MODELS": json.dumps({"tiny-gemma": str(tiny_gemma)}),
        "EMOTUNE_PORT": "0",
        "EMOTUNE_MIN_FREE_DISK_BYTES": "0",
        "EMOTUNE_WORKER_SEEN_SECONDS": "3",
        "EMOTUNE_SWEEP_SECONDS": "1",
        "EMOTUNE_TRAINER_THREADS": "1",
    }
    up = start_process(
        "up",
        [str(light_python.executable), "-m", "cli", "up"],
        log_path=tmp_path / "up.log",
        environment=os.environ | SAFE_PATH | settings,
        stop_seconds=STOP_SECONDS,
    )
    try:
        is_reported = wait_until(
            lambda: not up.is_running or "Press Ctrl-C to stop" in up.log_path.read_text(), seconds=READY_SECONDS
        )
        assert is_reported, up.read_log_tail()
        assert up.is_running, up.read_log_tail()
        assert f"warning: no job can run on slot-0: This worker can't train, as {describe_all()}." in (
            up.log_path.read_text()
        )
        credentials = find_local_credentials(data_dir)
        assert credentials is not None
        with Client(Credentials(url=credentials.url, api_key=credentials.api_key)) as client:
            yield client
    finally:
        up.stop()


def describe_all() -> str:
    *others, last = TRAINING_PACKAGES
    return f"{', '.join(others)} and {last} are not installed: {INSTALL_LINE}"


def read_readiness(client: Client) -> dict[str, Any]:
    body: dict[str, Any] = client._http.get("/health/ready").json()
    return body


def test_a_stack_takes_jobs_says_what_is_missing_and_trains_when_it_is_installed(
    stack: Client, light_python: LightPython, tmp_path: Path
) -> None:
    reason = f"This worker can't train, as {describe_all()}."
    (slot,) = stack.list_slots()
    assert (slot["status"], slot["blocked_reason"]) == ("blocked", reason)

    ready = read_readiness(stack)
    message = f"No worker can train. Slots: slot-0 (blocked: {INSTALL_LINE})."
    assert (ready["status"], ready["checks"]["worker"]) == ("not_ready", {"ok": False, "message": message})

    dataset = stack.upload_dataset(SAMPLE_CHATS, "chats")
    job_id = stack.create_job(
        {"dataset_id": dataset["id"], "base_model": "tiny-gemma", "config": SHORT_CONFIG, "name": "tune"}
    )["id"]
    (waiting,) = stack.read_queue()["items"]
    assert waiting["reason"] == {"code": "no_slot", "message": f"no slot is open: slot-0 is blocked: {reason[:-1]}"}

    examined = run(light_python, "cli", "doctor", "--json", data_dir=tmp_path / "data")
    failed = {
        finding["check"]: finding["message"]
        for finding in json.loads(examined.stdout)["findings"]
        if finding["health"] == "failed"
    }
    assert examined.returncode == 1
    assert failed == {"slots": "None of 1 takes jobs.", "slot slot-0": reason}
    assert stack.get_job(job_id)["attempt"] == 0, "no attempt is lost"

    light_python.install_the_rest()
    is_done = wait_until(lambda: stack.get_job(job_id)["finished_at"] is not None, seconds=WAIT_SECONDS)
    job = stack.get_job(job_id)
    assert (is_done, job["status"], job["attempt"]) == (True, "succeeded", 1)
    assert read_readiness(stack)["status"] == "ready"


def test_commands_that_train_and_generate_print_one_line(
    light_python: LightPython, tmp_path: Path, tiny_gemma: Path
) -> None:
    base, bundle, folder = str(tiny_gemma), tmp_path / "bundle.zip", str(tmp_path)
    bundle.touch()
    asked = ("--base", base, "--prompt", "How was your day?")
    commands = [
        ("cli", "train", str(SAMPLE_CHATS), "--base", base, "-o", str(tmp_path / "made.zip")),
        ("cli", "generate", str(bundle), *asked),
        ("cli", "verify", str(bundle), "--base", base),
        ("cli", "import", folder, "-o", str(tmp_path / "made.zip")),
        ("cli", "demo"),
        ("emomodel", "train", str(tmp_path / "request.json")),
        ("emomodel", "train", "--supervised", str(tmp_path / "request.json")),
        ("emomodel", "generate", str(bundle), *asked),
        ("emomodel", "verify", str(bundle), "--base", base),
        ("emomodel", "import", folder, "-o", str(tmp_path / "made.zip")),
    ]
    for command in commands:
        done = run(light_python, *command, data_dir=tmp_path / "data")
        (line,) = done.stderr.splitlines()
        assert line.startswith(("emotune: accelerate, ", "error: accelerate, ")), command
        assert line.endswith(f"and transformers are not installed: {INSTALL_LINE}"), command
        assert (done.returncode, done.stdout) == (1, ""), command


def test_a_bundle_is_verified_without_its_base_model(light_python: LightPython, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    checked = run(light_python, "emomodel", "verify", str(tmp_path / "bundle"), data_dir=tmp_path)
    assert checked.returncode == 1
    assert "not installed" not in checked.stderr
    assert "bundle.json" in checked.stderr
