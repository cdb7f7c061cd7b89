"""Wire models of base models."""

from pydantic import Field

from api.schemas.base import Read
from jobs.base_models.base_model import ListedModel


class BaseModelRead(Read):
    """A base model that jobs may use."""

    name: str
    is_available: bool = Field(description="False when its files are missing, although the operator lists it.")
    size_bytes: int | None = Field(description="Size of its weights; null where it is unknown.")

    @classmethod
    def of(cls, model: ListedModel, is_available: bool) -> "BaseModelRead":
        return cls(name=model.name, is_available=is_available, size_bytes=model.size_bytes)
