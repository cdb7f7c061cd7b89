"""emomodel: the model of emotune by itself. What the owner of a bundle needs can be imported from here:

    from emomodel import Sampling, Turn, generate, generate_replies, load_bundle, parse_schedule, stream_reply

Each name is loaded when it is first used: importing `emomodel`, or a light room such as `emomodel.config`, loads no
torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["Sampling", "Turn", "generate", "generate_replies", "load_bundle", "parse_schedule", "stream_reply"]

if TYPE_CHECKING:
    from emomodel.data.examples import Turn
    from emomodel.generation.generate import generate, generate_replies, stream_reply
    from emomodel.generation.loaded_bundle import load_bundle
    from emomodel.generation.sampling import Sampling
    from emomodel.generation.spoken_emotion import parse_schedule
else:
    # Hidden from type checkers, which would otherwise take any name for one of this package.
    _HOMES = {
        "Sampling": "emomodel.generation.sampling",
        "Turn": "emomodel.data.examples",
        "generate": "emomodel.generation.generate",
        "generate_replies": "emomodel.generation.generate",
        "load_bundle": "emomodel.generation.loaded_bundle",
        "parse_schedule": "emomodel.generation.spoken_emotion",
        "stream_reply": "emomodel.generation.generate",
    }

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
