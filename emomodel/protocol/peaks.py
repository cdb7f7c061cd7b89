"""The most memory that this process has used so far."""

import resource
import sys


def get_peak_memory_bytes() -> int:
    """Of the GPU where there is one, else of this process."""
    gpu_bytes = find_peak_gpu_bytes()
    return get_peak_host_bytes() if gpu_bytes is None else gpu_bytes


def find_peak_gpu_bytes() -> int | None:
    """What PyTorch had allocated on the GPU; None without a GPU, and before anything is on it."""
    # If torch was never imported, nothing is on the GPU. Its own count asks no driver, which may have failed.
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    peak: int = torch.cuda.max_memory_allocated()
    return peak


def get_peak_host_bytes() -> int:
    """The process's own memory that was resident at once."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kibibytes, macOS bytes.
    return peak if sys.platform == "darwin" else peak * 1024
