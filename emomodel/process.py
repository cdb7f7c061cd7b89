"""The training as a process of its own: its streams, signals, exit codes, and errors in words.

The supervisor's requests are read before anything heavy is imported: a stop, or the end of the supervisor, is noticed
while libraries load.
"""

import errno
import gc
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from emomodel.collection import without_collection
from emomodel.errors import FAILURE_CODES, EmomodelError, SeveralProcesses, Stopped
from emomodel.protocol.control import RunRequests
from emomodel.protocol.journal import keep_journal
from emomodel.protocol.peaks import find_peak_gpu_bytes, get_peak_host_bytes
from emomodel.protocol.progress import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_ORPHANED,
    EXIT_STOPPED,
    SAVE_AND_STOP_REQUEST,
    Failure,
    LineReporter,
    Phase,
    ProcessReporter,
    Result,
)
from emomodel.protocol.train_request import TrainRequest

logger = logging.getLogger(__name__)

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_READ_BYTES = 4096
# What the allocators of PyTorch and of the file formats say; they have no class of error for it.
_NO_MEMORY_WORDS = ("DefaultCPUAllocator", "can't allocate memory", "Cannot allocate memory", "not enough memory")
# What the GPU's libraries say where PyTorch has no class of error, or a different one in each release.
_GPU_MEMORY_WORDS = ("CUDA error: out of memory", "CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
_GPU_FAULT_WORDS = ("CUDA error", "CUDA driver error", "CUBLAS_STATUS_", "CUDNN_STATUS_", "cuDNN error")
# The variables in which torchrun, accelerate launch and MPI give each process the number of processes and its own.
_SIZE_VARIABLES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_RANK_VARIABLES = ("RANK", "LOCAL_RANK")
_DISK_FULL_WORDS = "No space left on device"


def run_train_process(request_path: Path, *, supervised: bool) -> int:
    """Run `python -m emomodel train` for the request in a file, and return the exit code.

    `supervised` says that standard input is a pipe from a supervisor, which carries requests and whose end ends this
    process. An exception whose cause can't be named is passed on.
    """
    reporter = keep_journal(reserve_stdout(), os.environ)
    requests, finished = RunRequests(), threading.Event()
    take_signals(lambda: requests.take(SAVE_AND_STOP_REQUEST))

    def end() -> None:
        if not finished.is_set():
            reporter.note_end("orphaned")
            os._exit(EXIT_ORPHANED)

    if supervised:
        start_watch(requests.take, end)
    return run_and_report(lambda: _import_and_run(request_path, reporter, requests), reporter, finished)


def run_and_report(run: Callable[[], Result], reporter: ProcessReporter, finished: threading.Event) -> int:
    """Run a training, report how it ended, and return the exit code.

    `finished` is set when the end of the supervisor no longer matters. An exception whose cause can't be named is
    passed on.
    """
    try:
        result = run()
    except Stopped:
        logger.info("stopped on request")
        finished.set()
        reporter.note_end("stopped")
        return EXIT_STOPPED
    except Exception as error:
        failure = describe_failure(error)
        if failure is None:
            reporter.note_end("crashed")
            raise
        traceback.print_exc()
        finished.set()
        reporter.report(failure)
        return EXIT_FAILED
    finished.set()
    reporter.report(result)
    return EXIT_OK


def describe_failure(error: Exception) -> Failure | None:
    """Return the failure line for an exception whose cause can be named, else None."""
    code = _find_code(error)
    if code is None:
        return None
    known = FAILURE_CODES[code]
    what = f"{str(error).rstrip('.')}." if isinstance(error, EmomodelError | ValidationError) else known.what
    return Failure(
        code=code,
        message=f"{what} {known.advice}",
        peak_gpu_bytes=find_peak_gpu_bytes(),
        peak_host_bytes=get_peak_host_bytes(),
    )


def _find_code(error: Exception) -> str | None:
    text = str(error)
    if isinstance(error, EmomodelError):
        return error.code if error.code in FAILURE_CODES else None
    if isinstance(error, ValidationError):
        return "request_invalid"
    if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or _DISK_FULL_WORDS in text:
        return "disk_full"
    # If torch was never imported, the error doesn't come from it.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.cuda.OutOfMemoryError):
        return "cuda_out_of_memory"
    if isinstance(error, RuntimeError):
        if any(words in text for words in _GPU_MEMORY_WORDS):
            return "cuda_out_of_memory"
        if any(words in text for words in _GPU_FAULT_WORDS):
            return "cuda_error"
    if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY_WORDS):
        return "host_out_of_memory"
    return None


def _import_and_run(request_path: Path, reporter: ProcessReporter, requests: RunRequests) -> Result:
    request = open_request(request_path, reporter)
    reporter.report(Phase(name="importing"))
    keep_to_one_gpu(os.environ)
    return import_and_train(request, reporter, requests)


def import_and_train(request: TrainRequest, reporter: ProcessReporter, requests: RunRequests) -> Result:
    """Import what the request's training needs and is not imported yet, and train. Raises as run_training does."""
    with lasting_imports():
        from emomodel.model.backend import import_backend

        import_backend(request.config.backend)
        from emomodel.training.train import run_training

    requests.raise_if_stopping()
    return run_training(request, reporter, requests)


def open_request(request_path: Path, reporter: ProcessReporter) -> TrainRequest:
    """Read the request of a training that starts now. Raises SeveralProcesses, OSError, pydantic.ValidationError."""
    refuse_several_processes(os.environ)
    request = TrainRequest.model_validate_json(request_path.read_bytes())
    reporter.note_start(request_path, request.output_dir)
    return request


def refuse_several_processes(environment: Mapping[str, str]) -> None:
    """Raise SeveralProcesses if this is one of several processes that a launcher has started for one training.

    Each of them would do the whole training, and write into the same folders.
    """
    for names, most in ((_SIZE_VARIABLES, 1), (_RANK_VARIABLES, 0)):
        for name in names:
            value = environment.get(name, "")
            if value.isdecimal() and int(value) > most:
                raise SeveralProcesses(f"{name} is {value}: this is one of several processes that a launcher started")


@contextmanager
def lasting_imports() -> Iterator[None]:
    """Switch garbage collection off for imports, and exclude the objects that they make from all later collections.

    Modules stay until the process ends. With garbage collection the imports take a seventh longer, and looking through
    these objects adds 0.3 s to each later collection.
    """
    with without_collection():
        yield
    gc.freeze()


def keep_to_one_gpu(environment: MutableMapping[str, str]) -> None:
    """Hide all GPUs but the first that the process may use. This has to be called before CUDA is initialised.

    A slot is one GPU. If several were visible, the Trainer would spread each batch over all of them.
    """
    first = environment.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    environment["CUDA_VISIBLE_DEVICES"] = first


def reserve_stdout() -> LineReporter:
    """Reserve standard output for progress. All other output goes to standard error, also that of C libraries."""
    sys.stdout.flush()
    own = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return LineReporter(os.fdopen(own, "w", encoding="utf-8"))


def take_signals(take: Callable[[], None]) -> None:
    """Call `take` for the first SIGTERM or SIGINT, whose sender may not know the requests."""

    def take_first(number: int, _: FrameType | None) -> None:
        take()
        # A second signal ends the process at once, whatever it is doing.
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, take_first)


def start_watch(take: Callable[[str], None], end: Callable[[], None]) -> None:
    """Start a thread that reads standard input: `take` gets each line, `end` is called when the input has ended."""

    def watch() -> None:
        rest = b""
        # os.read, since a daemon thread that reads sys.stdin holds a lock that the interpreter needs when it exits.
        while chunk := os.read(_STDIN, _READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                take(line.decode(errors="replace").strip())
        end()

    threading.Thread(target=watch, daemon=True, name="supervisor").start()
