"""The operator's list of base models."""

from fastapi import APIRouter

from api.access import CallerDep
from api.deps import ModelLibraryDep
from api.errors import error_responses
from api.schemas.base import Items
from api.schemas.models import BaseModelRead

router = APIRouter(tags=["models"], responses=error_responses(401))


@router.get("/models")
def list_models(_caller: CallerDep, library: ModelLibraryDep) -> Items[BaseModelRead]:
    """List the base models that jobs may use, in the operator's order."""
    return Items(items=[BaseModelRead.of(model, is_available) for model, is_available in library.list_known()])
