"""Samplers: read the state of a slot's GPU during a run, to report it with each metric."""

from types import TracebackType
from typing import Protocol, Self

import structlog

from jobs.settings import Device
from worker.slot.gpu import DeviceReading, GpuUnreadable, SlotDevice
from worker.threads import PeriodicThread

SAMPLE_SECONDS = 2.0

log = structlog.get_logger()


class Sampler(Protocol):
    """A context manager around a run, which has the newest reading of the slot's device."""

    @property
    def newest(self) -> DeviceReading: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class NoSampler:
    """The sampler of a CPU slot, which has nothing to report."""

    newest = DeviceReading()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class GpuSampler:
    """Reads the GPU every few seconds in its own thread, so that a metric never waits for the driver."""

    def __init__(self, device: SlotDevice, *, interval_seconds: float = SAMPLE_SECONDS) -> None:
        self._device = device
        self._newest = DeviceReading()
        self._thread = PeriodicThread(
            self._sample, interval_seconds=interval_seconds, name="sampler", begins_at_once=True
        )

    @property
    def newest(self) -> DeviceReading:
        """The newest reading; empty before the first sample, and while the GPU can't be read."""
        return self._newest

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.stop()

    def _sample(self) -> None:
        self._newest = self._read()

    def _read(self) -> DeviceReading:
        try:
            return self._device.read()
        except GpuUnreadable as error:
            log.warning("gpu_not_sampled", reason=str(error))
            return DeviceReading()


def make_sampler(kind: Device, device: SlotDevice) -> Sampler:
    return NoSampler() if kind == "cpu" else GpuSampler(device)
