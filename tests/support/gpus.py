"""A slot's device whose readings the test decides."""

from worker.slot.gpu import DeviceReading, GpuProcess, GpuUnreadable

GIB = 1024**3

# The readings of an idle GPU.
IDLE_GPU = DeviceReading(
    memory_bytes=80 * GIB,
    memory_used_bytes=0,
    gpu_name="NVIDIA Test 100",
    gpu_uuid="GPU-3ab1f7c2-0000-0000-0000-000000000000",
    utilization_percent=0.0,
    temperature_celsius=31.0,
    power_watts=70.5,
)


class DeviceDouble:
    """Implements worker.slot.gpu.SlotDevice; a CPU until the test changes it."""

    def __init__(self, reading: DeviceReading | None = None) -> None:
        self.reading = reading or DeviceReading(memory_bytes=16 * GIB)
        self.processes: list[GpuProcess] = []
        self.failure: str | None = None

    def read(self) -> DeviceReading:
        self._check()
        return self.reading

    def list_processes(self) -> list[GpuProcess]:
        self._check()
        return list(self.processes)

    def _check(self) -> None:
        if self.failure is not None:
            raise GpuUnreadable(self.failure)
