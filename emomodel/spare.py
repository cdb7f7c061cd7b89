"""A spare training process: it has imported all that a training needs, and waits for its request.

Like any training process it runs one training; it only gets the request later. Until then it holds no memory of the
GPU, writes nothing, and is the first process that the kernel ends when the machine's memory is full.
"""

import importlib
import logging
import os
import queue
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from emomodel.process import (
    import_and_train,
    keep_to_one_gpu,
    lasting_imports,
    open_request,
    reserve_stdout,
    run_and_report,
    start_watch,
    take_signals,
)
from emomodel.protocol.control import RunRequests
from emomodel.protocol.journal import keep_journal
from emomodel.protocol.progress import (
    EXIT_OK,
    EXIT_ORPHANED,
    SAVE_AND_STOP_REQUEST,
    LineReporter,
    Phase,
    ProcessReporter,
    Ready,
    Result,
    read_request_line,
)

# What transformers loads only when a model of these kinds is loaded: Gemma 3 is what most trainings use.
MODEL_MODULES = ("transformers.models.gemma3.modeling_gemma3", "transformers.models.gemma.tokenization_gemma")
# What a training on a GPU loads late: the compiler and 4-bit weights.
COMPILER_MODULES = ("torch._dynamo", "torch._inductor.compile_fx")
QUANTISER_MODULES = ("transformers.quantizers.quantizer_bnb_4bit", "bitsandbytes")
# What transformers imports and Unsloth doesn't patch.
COMPANION_MODULES = ("torch.distributed.fsdp", "sklearn.metrics", "pandas", "tokenizers", "safetensors.torch")

OOM_SCORE = Path("/proc/self/oom_score_adj")
# The kernel's maximum: it ends this process first, since nothing is lost with it.
SPARE_OOM_SCORE = "1000"

logger = logging.getLogger(__name__)


def run_spare_process() -> int:
    """Run `python -m emomodel train --spare`: import, wait for a request, train, and return the exit code."""
    return _Spare(reserve_stdout()).run()


class _Spare:
    """A process whose standard input first names a request, and then carries those of its supervisor."""

    def __init__(self, lines: LineReporter) -> None:
        self._lines = lines
        self._reporter: ProcessReporter = lines
        self._requests = RunRequests()
        self._finished = threading.Event()
        self._request_paths: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._has_request = False

    def run(self) -> int:
        oom_score = _change_oom_score(SPARE_OOM_SCORE)
        take_signals(self._take_signal)
        start_watch(self._take_line, self._end)
        self._preload()
        request_path = self._request_paths.get()
        _change_oom_score(oom_score)
        self._reporter = reporter = keep_journal(self._lines, os.environ)
        return run_and_report(lambda: self._train(request_path, reporter), reporter, self._finished)

    def _preload(self) -> None:
        """Import, and report that the process is ready. Raises what preload raises, unless a request has come."""
        try:
            preload()
        except Exception:
            if not self._has_request:
                raise
            # The training imports the same. If that fails again, it reports the failure as any training does.
            logger.warning("the imports before the training failed", exc_info=True)
        else:
            self._lines.report(Ready())

    def _train(self, request_path: Path, reporter: ProcessReporter) -> Result:
        os.chdir(request_path.parent)
        request = open_request(request_path, reporter)
        self._requests.raise_if_stopping()
        return import_and_train(request, reporter, self._requests)

    def _take_line(self, line: str) -> None:
        """Take and answer the request, even while libraries are imported; pass later lines on to its training."""
        if self._has_request:
            self._requests.take(line)
            return
        request_path = read_request_line(line)
        self._has_request = True
        self._lines.report(Phase(name="importing"))
        self._request_paths.put(request_path)

    def _take_signal(self) -> None:
        if not self._has_request:
            # Nothing has begun that could be saved.
            os._exit(EXIT_OK)
        self._requests.take(SAVE_AND_STOP_REQUEST)

    def _end(self) -> None:
        if not self._finished.is_set():
            self._reporter.note_end("orphaned")
            os._exit(EXIT_ORPHANED)


def preload() -> None:
    """Import what a training needs, without using the GPU's memory.

    Unsloth takes memory of the GPU when it is imported, and has to be imported before transformers. So where a training
    may use it, the training imports both. Raises ImportError, and RuntimeError when an import has begun to use the GPU.
    """
    keep_to_one_gpu(os.environ)
    with lasting_imports():
        import torch

        from emomodel.model.backend import uses_unsloth

        has_cuda = torch.cuda.is_available()
        if has_cuda:
            import_if_installed(COMPILER_MODULES)
        if uses_unsloth("auto"):
            import_if_installed(COMPANION_MODULES)
        else:
            importlib.import_module("emomodel.training.train")
            import_if_installed(MODEL_MODULES + (QUANTISER_MODULES if has_cuda else ()))
        if has_cuda:
            _refuse_context()


def import_if_installed(names: Iterable[str]) -> None:
    """Import modules that a training may need. One that is missing here, or fails, is left to the training."""
    for name in names:
        with suppress(ImportError):
            importlib.import_module(name)


def _refuse_context() -> None:
    """Raise RuntimeError if this process holds memory of the GPU, which would block its own slot."""
    import torch

    if torch._C._cuda_hasPrimaryContext(0):  # type: ignore[attr-defined]  # noqa: SLF001  PyTorch has no public name for it
        raise RuntimeError("an import has created a CUDA context; a spare process must not hold memory of the GPU")


def _change_oom_score(score: str) -> str:
    """Set this process's score for the kernel's OOM killer; return the previous one, or "" on other systems."""
    before = ""
    with suppress(OSError):
        before = OOM_SCORE.read_text().strip()
        if score:
            OOM_SCORE.write_text(score)
    return before
