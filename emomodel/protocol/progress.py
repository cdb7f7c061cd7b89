"""The progress lines that a training process emits, and the requests that it takes.

The process writes one JSON object a line to its standard output, and nothing else; what libraries print goes to
standard error. Standard input carries requests, one a line: ``stop`` asks it to end after the current step without
saving, ``save_and_stop`` to end there with a checkpoint, and ``checkpoint`` to save one there and continue. The end of
input means that the supervisor is gone, and the process ends at once.

A spare process has imported all that a training needs, reports that it is ready, and waits. Its first line of input is
the path of a request file as a JSON string: it answers with the phase ``importing`` at once, changes to the folder
of that file and trains. All further lines are requests.
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Generic, Literal, Protocol, TextIO, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from emomodel.errors import EmomodelError

# A stop overrides a save_and_stop: nothing is saved. SIGTERM and SIGINT mean save_and_stop.
STOP_REQUEST = "stop"
SAVE_AND_STOP_REQUEST = "save_and_stop"
CHECKPOINT_REQUEST = "checkpoint"

# The exit codes of `python -m emomodel train`. 1 is also Python's own for an unforeseen exception.
EXIT_OK = 0
EXIT_FAILED = 1
EXIT_STOPPED = 3
EXIT_ORPHANED = 4

# Codes of notices that a supervisor acts on.
RESUMED = "resumed"
CHECKPOINT_FAILED = "checkpoint_failed"

# Metrics, one a line, in a checkpoint and in the output folder.
METRICS_FILE = "metrics.jsonl"

CheckpointReason = Literal["schedule", "request", "stop"]
PhaseName = Literal["importing", "loading_dataset", "loading_model", "training", "saving"]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ready(_Line):
    """A spare process has imported all that a training needs. It is not progress: no training has begun."""

    type: Literal["ready"] = "ready"


class Phase(_Line):
    """The process enters a phase."""

    type: Literal["phase"] = "phase"
    name: PhaseName


class Plan(_Line):
    """The size of the training, known once dataset and model are loaded."""

    type: Literal["plan"] = "plan"
    total_steps: int
    example_count: int
    truncated_count: int
    target_token_count: int = Field(description="Tokens per epoch that count in the loss.")
    trainable_parameter_count: int
    device: str


Number = TypeVar("Number")


class MetricNumbers(BaseModel, Generic[Number]):
    """Numbers at a step: the one list of a metric's fields, which the API's schemas and the curves derive from.

    Seconds and tokens count from the start of training; padding is no token. `Number` is `float` in a progress line,
    and `float | None` where a number that is not finite becomes null.
    """

    step: int
    total_steps: int
    epoch: float
    loss: Number
    lora_learning_rate: Number
    emotion_learning_rate: Number
    grad_norm: float | None = None
    tokens_per_second: Number
    token_count: int
    elapsed_seconds: float
    eta_seconds: Number
    memory_bytes: int = Field(description="Peak so far: of the GPU where there is one, else of the process.")
    eval_loss: float | None = Field(None, description="On what is held out, where it was measured at this step.")
    eval_neutral_loss: float | None = Field(None, description="The same with every emotion left out.")


class _MetricLine(_Line):
    # A class of its own, so that the type is the first field of the line.
    type: Literal["metric"] = "metric"


class Metric(MetricNumbers[float], _MetricLine):
    """The numbers at a step, as a progress line."""


class Checkpoint(_Line):
    """A checkpoint is complete and on the disk."""

    type: Literal["checkpoint"] = "checkpoint"
    step: int
    path: str
    size_bytes: int
    seconds: float = Field(description="How long saving it took.")
    reason: CheckpointReason = Field(description="By checkpoint_every, on request, or because the training stops.")


class Notice(_Line):
    """Something that the owner of the job should know; the run continues."""

    type: Literal["notice"] = "notice"
    code: str
    message: str
    step: int | None = Field(None, description="The step that the notice is about, if it is about one.")


class Result(_Line):
    """The last line of a run that succeeded: the output folder is complete."""

    type: Literal["result"] = "result"
    final_loss: float
    step_count: int
    token_count: int
    train_seconds: float
    peak_memory_bytes: int = Field(description="The peak of the GPU where there is one, else of the process.")
    peak_gpu_bytes: int | None = Field(None, description="The peak of the GPU's memory, if there is a GPU.")
    peak_host_bytes: int = Field(description="The peak of the process's own memory.")


class Failure(_Line):
    """The last line of a run that failed for a reason known to the process; emomodel.errors has the codes."""

    type: Literal["failure"] = "failure"
    code: str
    message: str
    peak_gpu_bytes: int | None = None
    peak_host_bytes: int | None = None


Progress = Phase | Plan | Metric | Checkpoint | Notice | Result | Failure
_LINE: TypeAdapter[Ready | Progress] = TypeAdapter(Annotated[Ready | Progress, Field(discriminator="type")])


class ProgressError(EmomodelError):
    """A line is not a progress line."""

    code = "progress_invalid"


def parse_line(line: str | bytes) -> Ready | Progress:
    """Parse one line of a process that may have been a spare. Raises ProgressError."""
    try:
        return _LINE.validate_json(line)
    except ValidationError as error:
        raise ProgressError(str(error)) from error


def parse_progress(line: str | bytes) -> Progress:
    """Parse one progress line of a training. Raises ProgressError."""
    parsed = parse_line(line)
    if isinstance(parsed, Ready):
        raise ProgressError("only a spare process reports that it is ready")
    return parsed


def write_request_line(request_path: Path) -> str:
    """The line that hands a request to a spare process, without the end of the line."""
    return json.dumps(str(request_path))


def read_request_line(line: str) -> Path:
    """The path in a line of `write_request_line`. Raises ValueError."""
    return Path(json.loads(line))


def write_metrics(path: Path, metrics: Iterable[Metric]) -> None:
    """Write metrics to a file, one a line, as a training process reports them. Raises OSError."""
    lines = [metric.model_dump_json(exclude_none=True) + "\n" for metric in metrics]
    path.write_text("".join(lines), encoding="utf-8")


def read_metrics(path: Path) -> list[Metric]:
    """Read a file that `write_metrics` has written. Raises OSError, and pydantic.ValidationError for another file."""
    return [Metric.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Reporter(Protocol):
    """Where a training sends its progress."""

    def report(self, progress: Progress) -> None: ...

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None:
        """Called at each step, before the training decides whether it saves or stops there.

        `read_loss` returns the loss of this step alone. It waits for the GPU, so it is called only by a reporter
        that needs the number.
        """


class ProcessReporter(Reporter, Protocol):
    """Where a training process sends its progress, its start, and an end that no Result or Failure reports."""

    def note_start(self, request_path: Path, output_dir: Path) -> None: ...

    def note_end(self, kind: str) -> None:
        """`kind` is "stopped", "crashed" or "orphaned"."""


class LineReporter:
    """Writes each progress as a JSON line at once, and nothing else: a supervisor sees a process start and exit."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream

    def note_start(self, request_path: Path, output_dir: Path) -> None: ...

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None: ...

    def note_end(self, kind: str) -> None: ...

    def report(self, progress: Ready | Progress) -> None:
        self._stream.write(progress.model_dump_json(exclude_none=True) + "\n")
        self._stream.flush()
