"""The operator's list of base models."""

from fastapi import APIRouter

from api.deps import CallerDep, SettingsDep
from api.errors import error_responses
from api.schemas import BaseModelRead, Items
from jobs.base_models import list_base_models

router = APIRouter(tags=["models"], responses=error_responses(401))


@router.get("/models")
def list_models(_caller: CallerDep, settings: SettingsDep) -> Items[BaseModelRead]:
    """The base models that jobs may name, in the operator's order."""
    return Items(items=[BaseModelRead.of(model) for model in list_base_models(settings.base_models)])
