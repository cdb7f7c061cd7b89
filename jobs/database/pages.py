"""Cursor pages, newest first, over rows whose ids sort by age."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import Session

from jobs.models import Dataset, Job, Upload

Row = TypeVar("Row", Dataset, Job, Upload)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows, and the cursor of the next page: the id of the last row, or None on the last page."""

    items: Sequence[Row]
    next_cursor: str | None


def read_page(
    session: Session, statement: Select[Row], row_type: type[Row], *, cursor: str | None, limit: int
) -> Page[Row]:
    """Up to `limit` rows that are older than the cursor, newest first.

    The cursor need not be the id of an existing row.
    """
    if cursor is not None:
        statement = statement.where(row_type.id < cursor)
    rows = session.scalars(statement.order_by(row_type.id.desc()).limit(limit + 1)).all()
    more = len(rows) > limit
    return Page(items=rows[:limit], next_cursor=rows[limit - 1].id if more else None)
