"""A stand-in for the training process that trains nothing, and does all else for real: `python trainer.py REQUEST`.

It speaks the protocol of `python -m emomodel train --supervised`: progress on standard output, requests on standard
input, checkpoints that are complete or not there, an output folder that is a real bundle, the journal of
EMOMODEL_JOURNAL. Its losses depend on a running state that only a checkpoint preserves, so a wrongly resumed run has
wrong losses. It imports only the standard library, and so starts within 30 ms.

With `--spare` in place of the request it waits for one on its standard input, as the real one does.

For any base model other than FAST_MODEL it becomes the real training process by exec.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

FAST_MODEL = "fast"
# An output folder of the real training process, whose files are copied into each bundle.
TEMPLATE_VARIABLE = "CHAOS_TEMPLATE"
JOURNAL_VARIABLE = "EMOMODEL_JOURNAL"

EXIT_FAILED = 1
EXIT_STOPPED = 3
EXIT_ORPHANED = 4

# Each phase before the training takes this long; a step takes as many milliseconds as the config's seed.
PHASE_SECONDS = 0.05
KEPT_CHECKPOINTS = 2

Json = dict[str, Any]


class Journal:
    """Writes each line at once to a file opened for appending, so that the lines of several processes never mix."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def note(self, event: str, **facts: object) -> None:
        line = {"event": event, "pid": os.getpid(), "at": time.monotonic(), **facts}
        # As in the real process, a full disk costs lines of the journal, and not the training.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, (json.dumps(line) + "\n").encode())


class Requests:
    """What was requested so far, by a line or a signal."""

    def __init__(self) -> None:
        self.is_stopping = False
        self.is_dropped = False
        self.wants_checkpoint = False

    def take(self, line: str) -> None:
        if line == "stop":
            self.is_stopping = self.is_dropped = True
        elif line == "save_and_stop":
            self.is_stopping = True
        elif line == "checkpoint":
            self.wants_checkpoint = True


class Stopped(Exception):
    """The training was asked to stop."""


class Training:
    """The state of a training, its checkpoints, and its reports."""

    def __init__(self, request: Json, journal: Journal, requests: Requests) -> None:
        config = request["config"]
        self._request = request
        self._journal = journal
        self._requests = requests
        self._total_steps = int(config["max_steps"])
        self._step_seconds = config["seed"] / 1000
        self._every = int(config["checkpoint_every"])
        self._folder = Path(request["checkpoint_dir"])
        # The location of files and the frequency of checkpoints change no loss.
        course = [request["dataset_sha256"], request["base_model"], config["max_steps"], config["seed"]]
        self._course = hashlib.sha256(json.dumps(course).encode()).hexdigest()
        self._step = 0
        self._state = self._course
        self._metrics: list[Json] = []

    def run(self) -> Json:
        """Train to the end and return the result line. Raises Stopped."""
        for name in ("importing", "loading_model", "loading_dataset"):
            self._report(type="phase", name=name)
            time.sleep(PHASE_SECONDS)
            self._leave_if_asked()
        self._report(type="plan", total_steps=self._total_steps, example_count=1, truncated_count=0)
        self._report(type="phase", name="training")
        self._resume()
        while self._step < self._total_steps:
            time.sleep(self._step_seconds)
            self._take_step()
        self._leave_if_asked()
        self._report(type="phase", name="saving")
        write_output(self._request, self._metrics)
        last = self._metrics[-1]
        return {
            "type": "result",
            "final_loss": last["loss"],
            "step_count": self._step,
            "token_count": last["token_count"],
            "train_seconds": last["elapsed_seconds"],
            "peak_memory_bytes": 1,
            "peak_host_bytes": 1,
        }

    def _take_step(self) -> None:
        self._step += 1
        self._state = hashlib.sha256(f"{self._state} {self._step}".encode()).hexdigest()
        metric = make_metric(self._step, self._total_steps, self._state, self._step_seconds)
        self._metrics.append(metric)
        self._journal.note("step", step=self._step, loss=metric["loss"])
        self._report(**metric)
        if self._requests.is_stopping:
            if not self._requests.is_dropped:
                self._save("stop")
            raise Stopped
        if self._requests.wants_checkpoint:
            self._requests.wants_checkpoint = False
            self._save("request")
        elif self._step % self._every == 0:
            self._save("schedule")

    def _leave_if_asked(self) -> None:
        if self._requests.is_stopping:
            raise Stopped

    def _report(self, **line: object) -> None:
        if line["type"] == "plan":
            line |= {"target_token_count": 1, "trainable_parameter_count": 1, "device": "cpu"}
        os.write(_PROGRESS, (json.dumps(line) + "\n").encode())

    def _resume(self) -> None:
        paths = [*map(Path, self._request["resume_from"]), *self._folder.glob("checkpoint-*")]
        for path in sorted(paths, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
            content = read_checkpoint(path, self._course)
            if content is not None:
                self._step, self._state, self._metrics = content["step"], content["state"], content["metrics"]
                message = f"the training resumes from {path.name}"
                self._report(type="notice", code="resumed", message=message, step=self._step)
                return

    def _save(self, reason: str) -> None:
        try:
            self._write_checkpoint(reason)
        except OSError as error:
            self._report(type="notice", code="checkpoint_failed", message=f"step {self._step} is not saved: {error}")

    def _write_checkpoint(self, reason: str) -> None:
        began = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._folder).free < self._request["min_free_bytes"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        partial = self._folder / ".partial" / f"checkpoint-{self._step}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        content = {"step": self._step, "state": self._state, "metrics": self._metrics}
        (partial / "state.json").write_text(json.dumps(content))
        (partial / "metrics.jsonl").write_text("".join(json.dumps(metric) + "\n" for metric in self._metrics))
        files = {name: describe(partial / name) for name in ("state.json", "metrics.jsonl")}
        index = {"format_version": 1, "step": self._step, "course": self._course, "eval_loss": None, "files": files}
        (partial / "checkpoint.json").write_text(json.dumps(index))
        final = self._folder / partial.name
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        self._journal.note("checkpoint", step=self._step, path=str(final))
        size_bytes = sum(file.stat().st_size for file in final.iterdir())
        line = {"step": self._step, "path": str(final), "size_bytes": size_bytes, "reason": reason}
        self._report(type="checkpoint", seconds=time.monotonic() - began, **line)
        kept = sorted(self._folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
        for old in kept[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(old, ignore_errors=True)


def make_metric(step: int, total_steps: int, state: str, step_seconds: float) -> Json:
    """Make the numbers of a step; the loss depends on the state alone."""
    return {
        "type": "metric",
        "step": step,
        "total_steps": total_steps,
        "epoch": step / total_steps,
        "loss": 1 + int(state[:13], 16) / 16**13,
        "lora_learning_rate": 1e-4,
        "emotion_learning_rate": 1e-3,
        "tokens_per_second": 100.0,
        "token_count": 10 * step,
        "elapsed_seconds": step * step_seconds,
        "eta_seconds": (total_steps - step) * step_seconds,
        "memory_bytes": 1,
    }


def read_checkpoint(path: Path, course: str) -> Json | None:
    """Read a checkpoint; returns None if it is damaged or belongs to another training."""
    try:
        index = json.loads((path / "checkpoint.json").read_text())
        is_whole = all(describe(path / name) == entry for name, entry in index["files"].items())
        content: Json = json.loads((path / "state.json").read_text())
    except (OSError, ValueError):
        return None
    return content if is_whole and index["course"] == course else None


def write_output(request: Json, metrics: list[Json]) -> None:
    """Write the template's files with this training's metrics, manifest last; the folder is complete or not there."""
    output = Path(request["output_dir"])
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(os.environ[TEMPLATE_VARIABLE], partial)
    (partial / "metrics.jsonl").write_text("".join(json.dumps(metric) + "\n" for metric in metrics))
    manifest = json.loads((partial / "bundle.json").read_text())
    manifest["files"]["metrics.jsonl"] = describe(partial / "metrics.jsonl")
    manifest["base_model"] = request["base_model"]
    manifest["config"] = request["config"]
    manifest["dataset"] |= {"name": request["dataset_name"], "sha256": request["dataset_sha256"]}
    manifest["metrics"] |= {
        "first_loss": metrics[0]["loss"],
        "final_loss": metrics[-1]["loss"],
        "step_count": metrics[-1]["step"],
    }
    (partial / "bundle.json").write_text(json.dumps(manifest))
    partial.replace(output)


def describe(path: Path) -> Json:
    content = path.read_bytes()
    return {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def wait_for_request() -> Path:
    """Wait as a spare does, and answer the request."""
    os.write(_PROGRESS, b'{"type": "ready"}\n')
    line = b""
    # No further than the line: what follows is read by another thread, or another program.
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(EXIT_ORPHANED)
        line += byte
    os.write(_PROGRESS, b'{"type": "phase", "name": "importing"}\n')
    path = Path(json.loads(line))
    os.chdir(path.parent)
    return path


def main(request_path: Path) -> int:
    request = json.loads(request_path.read_text())
    journal = Journal(os.environ[JOURNAL_VARIABLE])
    attempt = request_path.absolute().parent.name
    journal.note("start", session=os.getsid(0), output_dir=request["output_dir"], attempt=attempt)
    if request["base_model"] != FAST_MODEL:
        real = [sys.executable, "-m", "emomodel", "train", "--supervised", str(request_path)]
        os.execv(sys.executable, real)  # noqa: S606  an argv of ours, no shell
    requests = Requests()
    signal.signal(signal.SIGTERM, lambda *_: requests.take("save_and_stop"))
    has_finished = threading.Event()

    def listen() -> None:
        rest = b""
        while chunk := os.read(0, 4096):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                requests.take(line.decode().strip())
        if not has_finished.is_set():
            journal.note("end", kind="orphaned")
            os._exit(EXIT_ORPHANED)

    threading.Thread(target=listen, daemon=True).start()
    try:
        result = Training(request, journal, requests).run()
    except Stopped:
        has_finished.set()
        journal.note("end", kind="stopped")
        return EXIT_STOPPED
    except OSError as error:
        has_finished.set()
        journal.note("end", kind="disk_full")
        result = {"type": "failure", "code": "disk_full", "message": f"The disk is full: {error}."}
        os.write(_PROGRESS, (json.dumps(result) + "\n").encode())
        return EXIT_FAILED
    has_finished.set()
    journal.note("end", kind="finished")
    os.write(_PROGRESS, (json.dumps(result) + "\n").encode())
    return 0


_PROGRESS = 1

if __name__ == "__main__":
    sys.exit(main(wait_for_request() if sys.argv[1] == "--spare" else Path(sys.argv[1])))
