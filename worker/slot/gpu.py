"""A slot's device: its properties, its current state and the processes that use it, for a GPU by NVML, or the CPU.

Torch is not used, as it would keep a CUDA context in the worker for ever. NVML numbers the GPUs as nvidia-smi does, by
their place on the bus; CUDA may number them otherwise, so a training process gets its GPU by UUID.
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
    """NVML can't read the GPU. The message says why."""


@dataclass(frozen=True)
class DeviceReading:
    """A device at one moment; None for what it doesn't report. A CPU reports only its machine's total memory."""

    memory_bytes: int | None = None
    memory_used_bytes: int | None = None
    gpu_name: str | None = None
    gpu_uuid: str | None = None
    utilization_percent: float | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None


@dataclass(frozen=True)
class GpuProcess:
    """A process that uses a GPU's memory. `computes` is false for one that only draws, such as a desktop."""

    pid: int
    memory_bytes: int | None
    computes: bool


class SlotDevice(Protocol):
    """The device that a slot runs its jobs on."""

    def read(self) -> DeviceReading:
        """Read the device's current state. Raises GpuUnreadable."""
        ...

    def list_processes(self) -> list[GpuProcess]:
        """List the processes that use the device, those that compute first.

        In a container the list may be empty, or have the host's pids.

        Raises GpuUnreadable.
        """
        ...


class Cpu:
    """The machine without a GPU. All processes share its memory, so no use of it is reported."""

    def read(self) -> DeviceReading:
        return DeviceReading(memory_bytes=psutil.virtual_memory().total)

    def list_processes(self) -> list[GpuProcess]:
        return []


class Gpu:
    """A GPU by its index or UUID. NVML is opened at the first query, and again after a query that failed."""

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
    """Return None where the GPU can't report it: a part of one (MIG) has no utilization, many have no power meter."""
    try:
        return question()
    except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_NoPermission, pynvml.NVMLError_FunctionNotFound):
        return None
