"""What a slot's device is, how it is at the moment, and who uses it: a GPU by NVML, or the CPU.

Never by torch, which would put a CUDA context into the worker for good. NVML counts the GPUs as nvidia-smi does, by
their place on the bus; CUDA may count otherwise, so a training process is told its GPU by UUID.
"""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import psutil
import pynvml

MILLIWATTS = 1000

Value = TypeVar("Value")


class GpuUnreadable(Exception):
    """NVML can't say anything of the GPU, and why, in words."""


@dataclass(frozen=True)
class DeviceReading:
    """A device at one moment; null is what it doesn't tell. A CPU tells only how much memory its machine has."""

    memory_bytes: int | None = None
    memory_used_bytes: int | None = None
    gpu_name: str | None = None
    gpu_uuid: str | None = None
    utilization_percent: float | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None


@dataclass(frozen=True)
class GpuProcess:
    """A process that has memory of a GPU. `computes` is false for one that only draws, such as a desktop."""

    pid: int
    memory_bytes: int | None
    computes: bool


class SlotDevice(Protocol):
    """What a slot runs its jobs on."""

    def read(self) -> DeviceReading:
        """Raises GpuUnreadable."""
        ...

    def list_processes(self) -> list[GpuProcess]:
        """Those that compute first. In a container it may be none, or their numbers be those of the host.

        Raises GpuUnreadable.
        """
        ...


class Cpu:
    """The machine without a GPU. Its memory is everybody's, so nobody's use of it is told."""

    def read(self) -> DeviceReading:
        return DeviceReading(memory_bytes=psutil.virtual_memory().total)

    def list_processes(self) -> list[GpuProcess]:
        return []


class Gpu:
    """A GPU by its index or UUID. NVML is opened at the first question, and again after one that it didn't answer."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._handle: Any = None
        self._lock = threading.Lock()

    def read(self) -> DeviceReading:
        with self._lock:
            return self._ask(_read)

    def list_processes(self) -> list[GpuProcess]:
        with self._lock:
            return self._ask(_list_processes)

    def _ask(self, question: Callable[[Any], Value]) -> Value:
        try:
            if self._handle is None:
                self._handle = _open(self._name)
            return question(self._handle)
        except pynvml.NVMLError as error:
            if self._handle is not None:
                # A GPU that was reset, or a driver that was replaced, needs a new handle.
                self._handle = None
                with contextlib.suppress(pynvml.NVMLError):
                    pynvml.nvmlShutdown()
            raise GpuUnreadable(f"GPU {self._name} can't be read: {error}.") from error


def _open(name: str) -> Any:
    pynvml.nvmlInit()
    try:
        if name.isdecimal():
            return pynvml.nvmlDeviceGetHandleByIndex(int(name))
        return pynvml.nvmlDeviceGetHandleByUUID(name)
    except pynvml.NVMLError:
        pynvml.nvmlShutdown()
        raise


def _read(handle: Any) -> DeviceReading:
    # Version 2 leaves out of `used` what the driver keeps for itself, as nvidia-smi does.
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    utilization = _find(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    temperature = _find(lambda: pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU))
    milliwatts = _find(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
    return DeviceReading(
        memory_bytes=int(memory.total),
        memory_used_bytes=int(memory.used),
        gpu_name=str(pynvml.nvmlDeviceGetName(handle)),
        gpu_uuid=str(pynvml.nvmlDeviceGetUUID(handle)),
        utilization_percent=utilization,
        temperature_celsius=temperature,
        power_watts=None if milliwatts is None else milliwatts / MILLIWATTS,
    )


def _list_processes(handle: Any) -> list[GpuProcess]:
    computing = _find(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
    drawing = _find(lambda: pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle)) or []
    found: dict[int, GpuProcess] = {}
    for computes, processes in ((True, computing), (False, drawing)):
        for process in processes:
            found.setdefault(process.pid, GpuProcess(process.pid, process.usedGpuMemory, computes))
    return list(found.values())


def _find(question: Callable[[], Value]) -> Value | None:
    """None where this kind of GPU doesn't tell: a part of one (MIG) has no utilisation, many have no power meter."""
    try:
        return question()
    except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_NoPermission, pynvml.NVMLError_FunctionNotFound):
        return None
