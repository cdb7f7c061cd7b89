"""The peak memory of this process so far, of GPU and host."""

import resource
import sys


def get_peak_memory_bytes() -> int:
    """The peak of the GPU's memory if this process uses a GPU, else of its own memory, in bytes."""
    gpu_bytes = find_peak_gpu_bytes()
    return get_peak_host_bytes() if gpu_bytes is None else gpu_bytes


def find_peak_gpu_bytes() -> int | None:
    """The peak of what PyTorch allocated on the GPU, in bytes; None if nothing has been on a GPU."""
    # If torch was never imported, nothing is on the GPU. PyTorch's own count needs no driver, which may have failed.
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    peak: int = torch.cuda.max_memory_allocated()
    return peak


def get_peak_host_bytes() -> int:
    """The peak of the process's resident memory, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kibibytes, macOS bytes.
    return peak if sys.platform == "darwin" else peak * 1024
