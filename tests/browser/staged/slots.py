"""The slots of a staged installation: running, idle, blocked, drained and away."""

from datetime import timedelta

from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.models import Slot
from jobs.runs import slots
from jobs.settings import GIB

H200_BYTES = 150_754_820_096
OTHER_RELEASE = "0.0.9"
FOREIGN_MEMORY = (
    "71.4 GiB of its memory are in use, and a job begins with at most 1.5 GiB: process 48213 (python, of jupyter, "
    "70.9 GiB). It is free again when that ends."
)


def add_slots(session: Session) -> None:
    """Make the rows that workers would have written; the slots of `boreas` were last seen long ago, or are drained."""
    note_living_slots(session)
    slots.note_slot(
        session, name="boreas-cuda-1", device="cuda", host="boreas", memory_bytes=192 * GIB, gpu_name="NVIDIA B200"
    )
    session.flush()
    session.get_one(Slot, "boreas-cuda-0").drained_at = utc_now() - timedelta(hours=5)
    session.get_one(Slot, "boreas-cuda-1").seen_at = utc_now() - timedelta(hours=9)


def note_living_slots(session: Session) -> None:
    """The sign of life of those that are there."""
    for number in range(4):
        slots.note_slot(
            session,
            name=f"atlas-cuda-{number}",
            device="cuda",
            host="atlas",
            memory_bytes=H200_BYTES,
            memory_used_bytes=int((24.1, 32.7, 56.7, 71.4)[number] * GIB),
            gpu_name="NVIDIA H200",
            gpu_uuid=f"GPU-3ab1f7c2-0000-4a61-9d27-00000000000{number}",
            utilization_percent=(96.0, 93.0, 98.0, 41.0)[number],
            temperature_celsius=(61.0, 58.0, 64.0, 47.0)[number],
            power_watts=(548.0, 512.5, 611.0, 240.0)[number],
            blocked_reason=FOREIGN_MEMORY if number == 3 else None,
        )
    slots.note_slot(
        session,
        name="boreas-cuda-0",
        device="cuda",
        host="boreas",
        memory_bytes=H200_BYTES,
        memory_used_bytes=GIB,
        gpu_name="NVIDIA H200",
        utilization_percent=0.0,
        temperature_celsius=31.0,
        power_watts=78.0,
    )
    # It is drained to be updated.
    session.flush()
    session.get_one(Slot, "boreas-cuda-0").emotune_version = OTHER_RELEASE
    slots.note_slot(
        session, name="workbench-cpu", device="cpu", host="workbench", memory_bytes=16 * GIB, memory_used_bytes=3 * GIB
    )
