"""Wire models of events."""

from datetime import datetime

from api.schemas.base import Read
from jobs.models import Event


class EventRead(Read):
    """A dated, readable fact about a job."""

    cursor: str
    attempt: int
    at: datetime
    kind: str
    message: str

    @classmethod
    def of(cls, event: Event) -> "EventRead":
        return cls(cursor=str(event.id), attempt=event.attempt, at=event.at, kind=event.kind, message=event.message)
