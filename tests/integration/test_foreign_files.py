"""emotune runs no modules from the user's folder, even if they are named like its own or like those that it imports."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.processes import wait_until
from tests.support.stacks import SAMPLE_CHATS, SHORT_CONFIG

# Named like modules and packages of emotune.
PACKAGES = ("api", "emomodel", "jobs")
OWN_NAMES = ("cli", "migrations", "worker")
# Named like modules that emotune imports.
INSTALLED_NAMES = (
    "alembic",
    "billiard",
    "celery",
    "kombu",
    "matplotlib",
    "peft",
    "pydantic",
    "redis",
    "torch",
    "uvicorn",
)
LIBRARY_NAMES = ("celeryconfig", "json", "multiprocessing", "pickle", "random", "sitecustomize", "socket", "struct")
# The script that `pip install` makes of `emotune = "cli.main:main"`.
CONSOLE_SCRIPT = "import sys\nfrom cli.main import main\nsys.exit(main())\n"
SETTINGS = [f"--set={name}={value}" for name, value in SHORT_CONFIG.items()]
# Several times as long as starting and training a model takes on a busy machine.
READY_SECONDS = 60
STOP_SECONDS = 60

pytestmark = pytest.mark.timeout(300)


class UserFolder:
    """A folder where a user works, with a model, a dataset, and modules that leave a marker when they are imported."""

    def __init__(self, root: Path, tiny_gemma: Path) -> None:
        self.path = root / "work"
        self._markers = root / "markers"
        self._markers.mkdir()
        self._script = root / "bin" / "emotune"
        self._script.parent.mkdir()
        self._script.write_text(CONSOLE_SCRIPT)
        for name in PACKAGES:
            self._write(self.path / name / "__init__.py")
        for name in (*OWN_NAMES, *INSTALLED_NAMES, *LIBRARY_NAMES):
            self._write(self.path / f"{name}.py")
        shutil.copytree(tiny_gemma, self.path / "models" / "tiny")
        shutil.copy(SAMPLE_CHATS, self.path / "chats.jsonl")
        self.environment = {
            # All paths are relative to the folder.
            "EMOTUNE_DATA_DIR": "kept/data",
            "EMOTUNE_DATABASE_URL": "sqlite:///own.db",
            "EMOTUNE_BASE_MODELS": json.dumps({"tiny": "models/tiny"}),
            "EMOTUNE_PORT": "0",
            # More than one, so that the API starts processes itself.
            "EMOTUNE_API_PROCESSES": "2",
            "EMOTUNE_MIN_FREE_DISK_BYTES": "0",
            "EMOTUNE_SWEEP_SECONDS": "1",
            "OMP_NUM_THREADS": "1",
        }

    def _write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        marker = self._markers / path.relative_to(self.path).as_posix().replace("/", ".")
        made = f"os.close(os.open({str(marker)!r}, os.O_CREAT))"
        path.write_text(f"import os\n{made}\nraise ImportError(__file__)\n")

    def list_imported(self) -> list[str]:
        """List the user's files that were imported."""
        return sorted(marker.name for marker in self._markers.iterdir())

    def emotune(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.make_argv(*arguments),
            cwd=self.path,
            env=os.environ | self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def make_argv(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self._script), *arguments]

    @contextmanager
    def run_stack(self) -> Iterator[None]:
        """Run `emotune up` until the end of the block, which begins when it is ready."""
        log_path = self.path / "up.log"
        with log_path.open("w") as log:
            up = subprocess.Popen(
                self.make_argv("up"), cwd=self.path, env=os.environ | self.environment, stdout=log, stderr=log
            )
        try:
            assert wait_until(
                lambda: up.poll() is not None or "Press Ctrl-C to stop" in log_path.read_text(),
                seconds=READY_SECONDS,
            ), log_path.read_text()
            assert up.poll() is None, log_path.read_text()
            yield
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(STOP_SECONDS)


@pytest.fixture
def user_folder(tmp_path: Path, tiny_gemma: Path) -> UserFolder:
    return UserFolder(tmp_path, tiny_gemma)


def test_a_stack_that_is_started_among_a_users_files_runs_none_of_them(user_folder: UserFolder) -> None:
    with user_folder.run_stack():
        submitted = user_folder.emotune("submit", "chats.jsonl", "--model", "tiny", *SETTINGS, "--watch")
        assert submitted.returncode == 0, submitted.stderr
        job_id = submitted.stdout.split()[0]
        downloaded = user_folder.emotune("download", job_id, "-o", "bundle.zip")
        assert downloaded.returncode == 0, downloaded.stderr
    assert user_folder.list_imported() == []
    names = {path.name for path in user_folder.path.iterdir() if path.suffix != ".py"}
    # SQLite may leave two files of its own beside the database.
    made = names - {*PACKAGES, "models", "chats.jsonl", "up.log", "own.db-shm", "own.db-wal"}
    assert made == {"kept", "own.db", "bundle.zip"}, "all files are where the settings say, below the user's folder"
    assert not list((user_folder.path / "kept").rglob("own.db*"))


def test_training_and_generating_among_a_users_files_runs_none_of_them(user_folder: UserFolder) -> None:
    trained = user_folder.emotune("train", "chats.jsonl", "--base", "models/tiny", "-o", "bundle.zip", *SETTINGS)
    assert trained.returncode == 0, trained.stderr
    asked = ("--base", "models/tiny", "--prompt", "How was your day?", "--max-new-tokens", "2")
    written = user_folder.emotune("generate", "bundle.zip", *asked)
    assert written.returncode == 0, written.stderr
    verified = user_folder.emotune("verify", "bundle.zip", "--base", "models/tiny")
    assert verified.returncode == 0, verified.stderr
    assert user_folder.list_imported() == []
    assert not (user_folder.path / "kept").exists()
