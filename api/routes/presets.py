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
    """What `preset` of a job may be: each with its whole config, which the fields that are given are laid over."""
    return Items(items=[PresetRead.of(preset) for preset in PRESETS])
