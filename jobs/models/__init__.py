"""The tables of the database, in one metadata: importing one of them defines all."""

from jobs.models.base import Base, UtcDateTime
from jobs.models.datasets import Dataset, Upload
from jobs.models.installation import SchemaRevision, Slot
from jobs.models.jobs import Job
from jobs.models.runs import Artifact, Event, Metric, Run
from jobs.models.teams import ApiKey, LoginCode, Team, WebSession

__all__ = [
    "ApiKey",
    "Artifact",
    "Base",
    "Dataset",
    "Event",
    "Job",
    "LoginCode",
    "Metric",
    "Run",
    "SchemaRevision",
    "Slot",
    "Team",
    "Upload",
    "UtcDateTime",
    "WebSession",
]
