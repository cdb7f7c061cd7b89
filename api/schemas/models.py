"""Wire models of base models."""

from pydantic import Field

from api.schemas.base import Read
from jobs.base_models.base_model import ListedModel


class BaseModelRead(Read):
    """A base model that jobs may name."""

    name: str
    is_available: bool = Field(description="False when the operator listed it and its files are not there.")
    size_bytes: int | None = Field(description="Of its weights, where that is known.")

    @classmethod
    def of(cls, model: ListedModel, is_available: bool) -> "BaseModelRead":
        return cls(name=model.name, is_available=is_available, size_bytes=model.size_bytes)
