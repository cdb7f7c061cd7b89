"""Checkpoints: all that a training needs to go on where it was, each in a folder that is whole or not there.

What the Trainer writes (optimizer, schedule, random numbers, its state) is joined by what it would leave out or change:
the trained weights exactly as they are, the emotion projection among them, and the metrics so far. The position in the
data is the step: the order of the batches follows from the config.
"""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from emomodel.disk import sync
from emomodel.errors import CheckpointUnusable
from emomodel.progress import Metric

TRAINED_FILE = "trained.safetensors"
METRICS_FILE = "metrics.jsonl"
# The Trainer's own name for a checkpoint's folder; it finds the step in it.
_NAME = re.compile(r"checkpoint-(\d+)")
# The one before the last is kept too, in case that the last can't be read.
_KEPT_COUNT = 2


class CheckpointFolder:
    """The checkpoints of one job. `is_kept`: the folder outlives the process, so that checkpoints are worth making."""

    def __init__(self, path: Path, *, is_kept: bool) -> None:
        self._path = path
        self.is_kept = is_kept

    @property
    def scratch(self) -> Path:
        """Where a checkpoint is written until it is whole."""
        return self._path / ".partial"

    def find_newest(self) -> Path | None:
        """The folder of the last whole checkpoint."""
        return max(self._list(), key=_get_step, default=None)

    def adopt(self, step: int, metrics: Iterable[Metric]) -> Path:
        """Take over the checkpoint that the Trainer has written to `scratch`; older ones than the last two go."""
        partial, final = self.scratch / f"checkpoint-{step}", self._path / f"checkpoint-{step}"
        write_metrics(partial / METRICS_FILE, metrics)
        for file in [*partial.iterdir(), partial]:
            sync(file)
        # A run that went on from an earlier checkpoint comes to the same step again.
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        sync(self._path)
        for old in sorted(self._list(), key=_get_step)[:-_KEPT_COUNT]:
            shutil.rmtree(old, ignore_errors=True)
        return final

    def clear_scratch(self) -> None:
        """Take away what a run has left there; whole or not, nothing in it counts."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _list(self) -> list[Path]:
        if not self._path.is_dir():
            return []
        return [folder for folder in self._path.iterdir() if _NAME.fullmatch(folder.name)]


def save_trained(model: nn.Module, folder: Path) -> None:
    """Write the trained weights, in their own precision and under their own names."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().contiguous() for name, tensor in _trained(model)}, folder / TRAINED_FILE)


def load_trained(model: nn.Module, folder: Path) -> None:
    """Put the trained weights back. Raises CheckpointUnusable when they are not those of `model`."""
    saved, trained = load_file(folder / TRAINED_FILE), dict(_trained(model))
    if {name: tensor.shape for name, tensor in saved.items()} != {name: t.shape for name, t in trained.items()}:
        raise CheckpointUnusable(f"the checkpoint {folder.name} is not of this job: it holds other weights")
    for name, tensor in saved.items():
        trained[name].data.copy_(tensor)


def write_metrics(path: Path, metrics: Iterable[Metric]) -> None:
    """One metric a line, as the training process reports them."""
    lines = [metric.model_dump_json(exclude_none=True) + "\n" for metric in metrics]
    path.write_text("".join(lines), encoding="utf-8")


def read_metrics(path: Path) -> list[Metric]:
    """What `write_metrics` has written."""
    return [Metric.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _trained(model: nn.Module) -> Iterable[tuple[str, Tensor]]:
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)


def _get_step(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])
