"""Wire models of presets."""

from typing import Any

from pydantic import Field

from api.schemas.base import Read
from emomodel.config import PRESET_DESCRIPTIONS, Preset, make_config


class PresetRead(Read):
    """A preset: a complete config that a job's config may start from."""

    name: Preset
    description: str
    config: dict[str, Any] = Field(description="The complete TrainConfig, with its defaults.")

    @classmethod
    def of(cls, preset: Preset) -> "PresetRead":
        config = make_config(preset).model_dump(mode="json")
        return cls(name=preset, description=PRESET_DESCRIPTIONS[preset], config=config)
