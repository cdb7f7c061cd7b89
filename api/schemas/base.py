"""What the wire models share: what goes in and out of the HTTP API as JSON, in a module for each noun beside this."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints

MAX_NAME_LENGTH = 200

# Names are shown to people and kept in databases that take no zero byte: no control characters.
NAME_PATTERN = r"^[^\x00-\x1f\x7f]*$"
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN),
]

Item = TypeVar("Item")


class Read(BaseModel):
    """An answer of the API, or a part of one; frozen."""

    model_config = ConfigDict(frozen=True)


class Page(Read, Generic[Item]):
    """A page of items, newest first. Send `next_cursor` as `cursor` for the next page; null at the end."""

    items: list[Item]
    next_cursor: str | None


class Items(Read, Generic[Item]):
    """All items of a list."""

    items: list[Item]


class Feed(Read, Generic[Item]):
    """Items of a feed, oldest first. Send `next_cursor` as `after` for the items that follow, now or later."""

    items: list[Item]
    next_cursor: str | None
