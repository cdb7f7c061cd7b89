"""The base class of all tables, and the types of their columns."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, Integer
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.schema import MetaData
from sqlalchemy.types import TypeDecorator

from jobs.priorities import PriorityClass
from jobs.status import JobStatus, RunCause, StopKind

# SQLite numbers rows only in a column of type INTEGER; in other databases ids need more than 32 bits.
BigIdentity = BigInteger().with_variant(Integer, "sqlite")


def _make_word_column(words: type[StrEnum]) -> Enum:
    """An enumeration stored as a plain string, so that a new word needs no new database type."""
    return Enum(words, native_enum=False, length=20, values_callable=lambda enum: [item.value for item in enum])


StatusColumn = _make_word_column(JobStatus)
StopColumn = _make_word_column(StopKind)
PriorityClassColumn = _make_word_column(PriorityClass)
RunCauseColumn = _make_word_column(RunCause)


class UtcDateTime(TypeDecorator[datetime]):
    """A time that is aware UTC in Python. SQLite has no time zones and stores it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  the framework names it
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}
