"""The presets that a job's config may start from."""

from fastapi import APIRouter

from api.access import CallerDep
from api.errors import error_responses
from api.schemas.base import Items
from api.schemas.presets import PresetRead
from emomodel.config import PRESETS

router = APIRouter(tags=["models"], responses=error_responses(401))


@router.get("/presets")
def list_presets(_caller: CallerDep) -> Items[PresetRead]:
    """List the presets of a job, each with its complete config. The fields of a job's `config` are laid over it."""
    return Items(items=[PresetRead.of(preset) for preset in PRESETS])
