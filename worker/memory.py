"""How much memory a slot has, without torch: asking torch would put a CUDA context into the worker for good."""

import subprocess
from collections.abc import Mapping

import psutil
import structlog

from jobs.settings import MIB, Device

# The driver of a machine at rest may take seconds to wake up. It must stay well below settings.worker_seen_seconds.
ANSWER_SECONDS = 10

log = structlog.get_logger()


def find_memory_bytes(device: Device, environment: Mapping[str, str], *, program: str = "nvidia-smi") -> int | None:
    """All memory of the slot's GPU, or of this machine for a CPU slot; None where that can't be learnt."""
    if device == "cpu":
        return int(psutil.virtual_memory().total)
    argv = [program, "--query-gpu=uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=ANSWER_SECONDS)  # noqa: S603  our own argv
        return read_gpu_memory(done.stdout, visible=environment.get("CUDA_VISIBLE_DEVICES", ""))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        log.warning("gpu_memory_unknown", reason=str(error))
        return None


def read_gpu_memory(answer: str, *, visible: str) -> int:
    """From lines `UUID, MiB`: of the GPU that `visible` (CUDA_VISIBLE_DEVICES) names by its UUID, else of the largest.

    CUDA numbers the GPUs in an order of its own, so a number says little; the largest refuses no job that might fit.
    Raises ValueError.
    """
    sizes = {}
    for line in answer.strip().splitlines():
        uuid, _, mebibytes = line.partition(", ")
        sizes[uuid] = int(mebibytes) * MIB
    first = visible.partition(",")[0].strip()
    # A UUID may be shortened as long as it stays unambiguous.
    own = [size for uuid, size in sizes.items() if first.startswith("GPU-") and uuid.startswith(first)]
    return max(own or sizes.values())
