"""The `emotune` command as a user types it: against a running stack, and without one."""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from emomodel.bundles.manifest import parse_manifest
from emomodel.config import make_config
from tests.support.brakes import MOST_BRAKED_STEPS, Brake
from tests.support.stacks import SHORT_CONFIG, Installation

SAMPLES = Path(__file__).parents[2] / "samples" / "chats.jsonl"
# Tiny matrices gain nothing from a second thread, and lose much when other work wants the core.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
SETTINGS = [f"--set={name}={value}" for name, value in SHORT_CONFIG.items()]


def emotune(*arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "cli", *arguments]
    environment = os.environ | ONE_THREAD | {"EMOTUNE_DATA_DIR": str(data_dir)}
    return subprocess.run(argv, env=environment, check=False, capture_output=True, text=True, timeout=90)


@pytest.fixture
def installation(standing_installation: Installation) -> Installation:
    return standing_installation


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_dashboards_link_is_printed_and_opened(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir = installation.stack.settings.data_dir
    form = re.escape(installation.stack.url) + r"/#/login\?code=[\w-]{43}\n"
    printed = emotune("dashboard", data_dir=data_dir)
    assert re.fullmatch(form, printed.stdout), printed.stderr
    # A browser that prints the address that it is asked to open.
    monkeypatch.setenv("BROWSER", "echo")
    link, opened = emotune("dashboard", "--open", data_dir=data_dir).stdout.splitlines()
    assert link == opened != printed.stdout.strip()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_doctor_finds_a_running_stack_in_order_and_misses_the_housekeeping(own_installation: Installation) -> None:
    data_dir = own_installation.stack.settings.data_dir
    healthy = emotune("doctor", data_dir=data_dir)
    assert healthy.returncode == 0, healthy.stdout + healthy.stderr
    for check in ("schema", "slots", "redis memory", "redis persistence", "housekeeping", "cpu workers", "api key"):
        assert re.search(rf"^ok       {check}  ", healthy.stdout, re.MULTILINE), healthy.stdout

    own_installation.stack.get_process("housekeeping").stop()
    ill = emotune("doctor", "--json", data_dir=data_dir)
    told = json.loads(ill.stdout)
    failed = [finding["check"] for finding in told["findings"] if finding["health"] == "failed"]
    assert (ill.returncode, told["health"], failed) == (1, "failed", ["housekeeping"])


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_submit_watch_and_download_find_the_local_stack(installation: Installation, tmp_path: Path) -> None:
    data_dir = installation.stack.settings.data_dir
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700, "other accounts of the machine may not read the chats"
    second = emotune("up", data_dir=data_dir)
    assert (second.returncode, "already runs" in second.stderr) == (1, True)

    submitted = emotune("submit", str(SAMPLES), "--model", "tiny-gemma", *SETTINGS, data_dir=data_dir)
    assert submitted.returncode == 0, submitted.stderr
    job_id = submitted.stdout.strip()
    assert re.fullmatch(r"job_[0-9a-z]{26}", job_id)
    assert "330 examples" in submitted.stderr

    watched = emotune("watch", job_id, data_dir=data_dir)
    assert watched.returncode == 0, watched.stderr
    assert "succeeded after 6 steps" in watched.stdout

    bundle = tmp_path / "bundle.zip"
    downloaded = emotune("download", job_id, "-o", str(bundle), data_dir=data_dir)
    assert (downloaded.returncode, bundle.is_file()) == (0, True), downloaded.stderr

    late = emotune("cancel", job_id, data_dir=data_dir)
    assert late.returncode == 1
    assert "already succeeded" in late.stderr

    mistyped = emotune("submit", "chatz.jsonl", "--model", "tiny-gemma", data_dir=data_dir)
    assert (mistyped.returncode, "chatz.jsonl is neither a file" in mistyped.stderr) == (1, True)
    unknown = emotune("submit", str(SAMPLES), "--model", "gemma-9", data_dir=data_dir)
    assert (unknown.returncode, "tiny-gemma" in unknown.stderr, "uploaded" in unknown.stderr) == (1, True, False)

    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"messages": []}\n')
    refused = emotune("submit", str(bad), "--model", "tiny-gemma", data_dir=data_dir)
    assert refused.returncode == 1
    assert f"{bad}:1: " in refused.stderr
    assert "Traceback" not in refused.stderr


def test_train_verify_and_generate_need_no_stack(tmp_path: Path, tiny_gemma: Path) -> None:
    bundle = tmp_path / "bundle.zip"
    asked = ["--base", str(tiny_gemma), "-o", str(bundle), "--preset", "original", *SETTINGS]
    trained = emotune("train", str(SAMPLES), *asked, data_dir=tmp_path / "data")
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout.strip() == str(bundle)
    assert "6 steps in 0:0" in trained.stderr
    with zipfile.ZipFile(bundle) as archive:
        manifest = parse_manifest(archive.read("bundle.json"))
    assert manifest.config == make_config("original", SHORT_CONFIG)

    assert emotune("verify", str(bundle), data_dir=tmp_path).returncode == 0
    arguments = ["--base", str(tiny_gemma), "--prompt", "How was your day?", "--max-new-tokens", "4"]
    written = emotune(
        "generate", str(bundle), *arguments, "--emotion", "joy=1", "--emotion", "neutral", data_dir=tmp_path
    )
    assert written.returncode == 0, written.stderr
    assert "joy=1" in written.stdout

    damaged = bytearray(bundle.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    bundle.write_bytes(damaged)
    found = emotune("verify", str(bundle), data_dir=tmp_path)
    assert found.returncode == 1
    assert found.stderr.strip()


def test_ctrl_c_saves_and_the_same_command_resumes(tmp_path: Path, tiny_gemma: Path) -> None:
    bundle, checkpoints = tmp_path / "bundle.zip", tmp_path / "checkpoints"
    asked = ["--base", str(tiny_gemma), "-o", str(bundle), "--checkpoints", str(checkpoints), *SETTINGS]
    step_count = MOST_BRAKED_STEPS + 30
    argv = ["train", str(SAMPLES), *asked, f"--set=max_steps={step_count}"]
    with (
        Brake(tmp_path / "journal") as brake,
        subprocess.Popen(
            [sys.executable, "-m", "cli", *argv],
            env=os.environ | ONE_THREAD | brake.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(process.kill)
        assert process.stderr is not None
        brake.wait_for_step()
        process.send_signal(signal.SIGINT)
        # This is printed once the training has been asked to stop; by then the brake holds it, or nearly so.
        assert any("stopping after this step" in line for line in process.stderr)
        brake.release()
        said = process.stderr.read()
        assert process.wait(timeout=60) == 1
    stopped = re.search(r"emotune: stopped, saved after step (\d+); the same command resumes", said)
    assert stopped is not None, said
    assert not bundle.exists()

    finished = emotune(*argv, data_dir=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert f"the training resumes from checkpoint-{stopped[1]}" in finished.stderr
    assert f"{step_count} steps in " in finished.stderr
    assert bundle.is_file()


def test_a_wrong_hyperparameter_is_named_before_anything_starts(tmp_path: Path, tiny_gemma: Path) -> None:
    wrong = emotune("train", str(SAMPLES), "--base", str(tiny_gemma), "--set", "lora_rank=0", data_dir=tmp_path)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("emotune: lora_rank: ")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("EMOTUNE_BASE_MODELS", "{bad", "base_models"),
        ("EMOTUNE_DATABASE_URL", "nonsense", "EMOTUNE_DATABASE_URL"),
        ("EMOTUNE_DATABASE_URL", "postgresql://127.0.0.1:9/x", "connection failed"),
        ("EMOTUNE_LEASE_SECONDS", "1", "heartbeat_seconds"),
        ("EMOTUNE_PROT", "1", "EMOTUNE_PORT"),
        ("EMOTUNE_HOST_NAME", "../box", "EMOTUNE_HOST_NAME"),
        ("EMOTUNE_DATA_DIR", "/dev/null/x", "Not a directory"),
    ],
)
def test_a_wrong_setting_is_one_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    data_dir = Path(value) if variable == "EMOTUNE_DATA_DIR" else tmp_path
    wrong = emotune("keys", "list", data_dir=data_dir)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("emotune: ")
    assert said in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert "EMOTUNE_SLOT:" not in wrong.stderr, "an error that only follows from another is not reported"


def test_a_bundle_that_could_not_be_written_is_refused_before_training(tmp_path: Path, tiny_gemma: Path) -> None:
    for output, said in ((tmp_path / "nowhere" / "bundle.zip", "create it first"), (tmp_path, "is a folder")):
        refused = emotune("train", str(SAMPLES), "--base", str(tiny_gemma), "-o", str(output), data_dir=tmp_path)
        assert refused.returncode == 1
        assert said in refused.stderr


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    assert emotune("migrate", data_dir=tmp_path).returncode == 0
    made = emotune("keys", "create", "--team", "poets", "--name", "laptop", data_dir=tmp_path)
    key_id, secret = made.stdout.split()[0], made.stdout.splitlines()[1]
    listed = emotune("keys", "list", data_dir=tmp_path).stdout
    assert "team poets" in listed
    assert "active" in listed
    assert secret not in listed
    assert emotune("keys", "revoke", key_id, data_dir=tmp_path).returncode == 0
    assert "revoked" in emotune("keys", "list", data_dir=tmp_path).stdout
    unknown = emotune("keys", "revoke", "key_nobody", data_dir=tmp_path)
    assert (unknown.returncode, unknown.stderr.startswith("emotune: There is no API key")) == (1, True)


def test_without_a_stack_the_client_commands_say_how_to_start_one(tmp_path: Path) -> None:
    lost = emotune("watch", "job_x", data_dir=tmp_path)
    assert lost.returncode == 1
    assert "emotune up" in lost.stderr
