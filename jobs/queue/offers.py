"""Offer: what a slot offers a job, and whether that is enough. Pure."""

from dataclasses import dataclass

from jobs.settings import Device


@dataclass(frozen=True, slots=True)
class Offer:
    """What a slot offers. Unknown needs and unknown memory count as fitting."""

    device: Device
    memory_bytes: int | None = None
    # Weight of a second on the slot in a team's usage.
    size: float = 1.0

    def fits(self, needs_cuda: bool, cpu_memory_bytes: int | None, cuda_memory_bytes: int | None) -> bool:
        if self.device == "cpu" and needs_cuda:
            return False
        needed = cuda_memory_bytes if self.device == "cuda" else cpu_memory_bytes
        return needed is None or self.memory_bytes is None or needed <= self.memory_bytes
