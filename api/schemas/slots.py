"""Wire models of slots."""

from datetime import datetime

from pydantic import ConfigDict, Field

from api.schemas import examples
from api.schemas.base import Read
from jobs.access.teams import Caller
from jobs.models import Job
from jobs.runs.slots import SlotStatus, SlotView


def may_see(caller: Caller, job: Job) -> bool:
    """Whether the caller may see the job in a list that is open to all teams."""
    return caller.is_operator or job.team_id == caller.team_id


class SlotJobRead(Read):
    """The job that runs on a slot."""

    id: str
    name: str
    is_own: bool = Field(description="Whether it is a job of your team; operators see other teams' jobs too.")


class SlotRead(Read):
    """One GPU (or the CPU) that runs one job at a time."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SLOT]})

    name: str
    host: str
    device: str = Field(description="`cpu` or `cuda`.")
    status: SlotStatus = Field(
        description="`idle`, `running`, `blocked` (its worker takes no job now: see `blocked_reason`), `drained` (the "
        "operator wants no new jobs there) or `away` (its worker was not seen recently)."
    )
    blocked_reason: str | None = Field(description="Why it is blocked, as of when its worker was last seen.")
    job: SlotJobRead | None = Field(
        description="The job that runs there, shown to its own team and to operators; else null."
    )
    size: float = Field(description="How much a second on it counts in a team's usage, relative to other slots.")
    memory_bytes: int | None = Field(description="Memory of the GPU, or for a CPU of the machine.")
    memory_used_bytes: int | None = Field(
        description="Of the GPU, like the fields up to `power_watts`; null for a CPU."
    )
    gpu_name: str | None
    gpu_uuid: str | None
    utilization_percent: float | None
    temperature_celsius: float | None
    power_watts: float | None
    emotune_version: str | None = Field(
        description="The release of its worker; null where that is too old to report it."
    )
    is_other_release: bool = Field(description="Whether that release differs from this API's.")
    drained_at: datetime | None = Field(description="Since when it is drained; null while it is not.")
    seen_at: datetime = Field(description="When its worker was last seen.")

    @classmethod
    def of(cls, view: SlotView, *, caller: Caller) -> "SlotRead":
        slot, job = view.slot, view.job
        return cls(
            name=slot.name,
            host=slot.host,
            device=slot.device,
            status=view.status,
            blocked_reason=slot.blocked_reason,
            job=SlotJobRead(id=job.id, name=job.name, is_own=job.team_id == caller.team_id)
            if job and may_see(caller, job)
            else None,
            size=slot.size,
            memory_bytes=slot.memory_bytes,
            memory_used_bytes=slot.memory_used_bytes,
            gpu_name=slot.gpu_name,
            gpu_uuid=slot.gpu_uuid,
            utilization_percent=slot.utilization_percent,
            temperature_celsius=slot.temperature_celsius,
            power_watts=slot.power_watts,
            emotune_version=slot.emotune_version,
            is_other_release=view.is_other_release,
            drained_at=slot.drained_at,
            seen_at=slot.seen_at,
        )
