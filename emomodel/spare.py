"""A spare training process: it has imported all that a training needs, and waits for its request.

It is one process for one training, as any other: it differs only in when it learns which. Until then it holds no memory
of the GPU, writes nothing, and is the first one that the kernel ends where the machine's memory is full.
"""

import importlib
import os
import queue
import threading
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from emomodel.process import (
    conduct,
    import_and_train,
    keep_to_one_gpu,
    lasting_imports,
    open_request,
    reserve_stdout,
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
    read_order,
)

# What transformers loads only when a model of these kinds is loaded: Gemma 3 is what most trainings use.
MODEL_MODULES = ("transformers.models.gemma3.modeling_gemma3", "transformers.models.gemma.tokenization_gemma")
# What a training on a GPU loads late: the compiler and 4-bit weights.
COMPILER_MODULES = ("torch._dynamo", "torch._inductor.compile_fx")
QUANTISER_MODULES = ("transformers.quantizers.quantizer_bnb_4bit", "bitsandbytes")
# What transformers imports and Unsloth doesn't patch.
COMPANION_MODULES = ("torch.distributed.fsdp", "sklearn.metrics", "pandas", "tokenizers", "safetensors.torch")

OOM_SCORE = Path("/proc/self/oom_score_adj")
# The kernel's highest: this process goes first, as nothing is lost with it.
SPARE_OOM_SCORE = "1000"


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
        self._orders: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._has_order = False

    def run(self) -> int:
        oom_score = _change_oom_score(SPARE_OOM_SCORE)
        take_signals(self._take_signal)
        start_watch(self._take_line, self._end)
        preload()
        self._lines.report(Ready())
        request_path = self._orders.get()
        _change_oom_score(oom_score)
        self._reporter = reporter = keep_journal(self._lines, os.environ)
        return conduct(lambda: self._train(request_path, reporter), reporter, self._finished)

    def _train(self, request_path: Path, reporter: ProcessReporter) -> Result:
        os.chdir(request_path.parent)
        request = open_request(request_path, reporter)
        self._requests.raise_if_stopping()
        return import_and_train(request, reporter, self._requests)

    def _take_line(self, line: str) -> None:
        """Take the request, and answer it, also while the imports go on; then what is asked of its training."""
        if self._has_order:
            self._requests.take(line)
            return
        request_path = read_order(line)
        self._has_order = True
        self._lines.report(Phase(name="importing"))
        self._orders.put(request_path)

    def _take_signal(self) -> None:
        if not self._has_order:
            # Nothing has begun that could be saved.
            os._exit(EXIT_OK)
        self._requests.take(SAVE_AND_STOP_REQUEST)

    def _end(self) -> None:
        if not self._finished.is_set():
            self._reporter.note_end("orphaned")
            os._exit(EXIT_ORPHANED)


def preload() -> None:
    """Import what a training needs, without use of the GPU's memory.

    Unsloth takes memory of the GPU when it is imported, and has to be imported before transformers. So where a training
    may use it, both are left to the training. Raises ImportError, and RuntimeError when an import has begun to use the
    GPU.
    """
    keep_to_one_gpu(os.environ)
    with lasting_imports():
        import torch

        from emomodel.model.backend import uses_unsloth

        has_cuda = torch.cuda.is_available()
        if has_cuda:
            _import_installed(COMPILER_MODULES)
        if uses_unsloth("auto"):
            _import_installed(COMPANION_MODULES)
        else:
            importlib.import_module("emomodel.training.train")
            _import_installed(MODEL_MODULES + (QUANTISER_MODULES if has_cuda else ()))
        if has_cuda:
            _refuse_context()


def _import_installed(names: Iterable[str]) -> None:
    for name in names:
        if find_spec(name) is not None:
            importlib.import_module(name)


def _refuse_context() -> None:
    """Raise RuntimeError if this process holds memory of the GPU, which would block its own slot."""
    import torch

    if torch._C._cuda_hasPrimaryContext(0):  # type: ignore[attr-defined]  # noqa: SLF001  PyTorch has no public name for it
        raise RuntimeError("an import has created a CUDA context; a spare process must not hold memory of the GPU")


def _change_oom_score(score: str) -> str:
    """Tell the kernel how gladly it may end this process; return the score before, and nothing where there is none."""
    before = ""
    with suppress(OSError):
        before = OOM_SCORE.read_text().strip()
        if score:
            OOM_SCORE.write_text(score)
    return before
