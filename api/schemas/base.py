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
    """What goes out; frozen, as an answer is a fact of its moment."""

    model_config = ConfigDict(frozen=True)


class Page(Read, Generic[Item]):
    """Some items, newest first. `next_cursor` is handed back as `cursor`; null at the end."""

    items: list[Item]
    next_cursor: str | None


class Items(Read, Generic[Item]):
    """All items."""

    items: list[Item]


class Feed(Read, Generic[Item]):
    """Items in the order in which they came. `next_cursor` is handed back as `after`, now or when there may be more."""

    items: list[Item]
    next_cursor: str | None
