"""The emotion axes, and vectors along them.

An axis is named ``NEGATIVE_POSITIVE``, such as ``SADNESS_JOY``. Its two poles are names of their own: ``joy`` points
along the axis, ``sadness`` against it. An emotion vector holds one number in [-1, 1] per axis, in the axes' order.

AxesInvalid and EmotionError are ValueErrors too: raised by a pydantic validator, they become a ValidationError.
"""

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from emomodel.errors import EmomodelError

EmotionVector = tuple[float, ...]

AXIS_NAME = re.compile(r"[A-Z][A-Z0-9]*_[A-Z][A-Z0-9]*")
MIN_AXES, MAX_AXES = 2, 64


class AxesInvalid(EmomodelError, ValueError):
    """The names are not those of a set of axes."""

    code = "axes_invalid"


class EmotionError(EmomodelError, ValueError):
    """The emotion can't be read."""

    code = "emotion_invalid"


class UnknownEmotion(EmotionError):
    """A name is neither an axis nor a pole."""

    code = "emotion_unknown"


class EmotionOutOfRange(EmotionError):
    """A value is outside the range of its name, or is not a finite number."""

    code = "emotion_out_of_range"


class AxisGivenTwice(EmotionError):
    """Two names in one emotion belong to the same axis."""

    code = "emotion_axis_twice"


class WrongVectorLength(EmotionError):
    """A list of numbers doesn't have one number per axis."""

    code = "emotion_vector_length"


@dataclass(frozen=True)
class Axes:
    """An ordered set of bipolar axes. Raises AxesInvalid when there are too few or too many, or a name is wrong."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not MIN_AXES <= len(self.names) <= MAX_AXES:
            raise AxesInvalid(f"there are {len(self.names)} axes; give {MIN_AXES} to {MAX_AXES}")
        for name in self.names:
            if not AXIS_NAME.fullmatch(name):
                raise AxesInvalid(f"axis {name!r} is not of the form NEGATIVE_POSITIVE, as in SADNESS_JOY")
        if len(self._directions) != 3 * len(self.names):
            raise AxesInvalid("each axis and each pole may be named only once")

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    @cached_property
    def _directions(self) -> dict[str, tuple[int, float]]:
        """Lower-case name -> (axis index, sign). Sign 0 marks the name of an axis, whose value has its own sign."""
        directions: dict[str, tuple[int, float]] = {}
        for index, name in enumerate(self.names):
            negative, positive = name.lower().split("_")
            directions |= {name.lower(): (index, 0.0), negative: (index, -1.0), positive: (index, 1.0)}
        return directions

    @property
    def poles(self) -> list[str]:
        """The poles of all axes in order, lower case, the negative one of each axis first."""
        return [pole for name in self.names for pole in name.lower().split("_")]

    @property
    def neutral(self) -> EmotionVector:
        """The vector of no emotion: 0 on each axis."""
        return (0.0,) * len(self.names)

    def vector(self, values: Mapping[str, float] | Iterable[tuple[str, float]]) -> EmotionVector:
        """The vector of named values, such as {"joy": 0.9, "fear": 0.2}; other axes are 0. Raises EmotionError."""
        pairs = values.items() if isinstance(values, Mapping) else values
        vector = list(self.neutral)
        given: dict[int, str] = {}
        for name, value in pairs:
            index, sign = self._find_direction(name)
            if index in given:
                raise AxisGivenTwice(f"{given[index]!r} and {name!r} are on the same axis; give only one of them")
            given[index] = name
            low = -1.0 if sign == 0.0 else 0.0
            if not math.isfinite(value) or not low <= value <= 1.0:
                raise EmotionOutOfRange(f"{name}={value} is out of range; give a number from {low:g} to 1")
            vector[index] = float(value) if sign == 0.0 else sign * float(value) + 0.0
        return tuple(vector)

    def vector_from_list(self, numbers: Sequence[float]) -> EmotionVector:
        """The vector of a list with one number per axis, in the axes' order. Raises EmotionError."""
        if len(numbers) != len(self.names):
            raise WrongVectorLength(f"the list has {len(numbers)} numbers; give {len(self.names)}, one per axis")
        return self.vector(zip((name.lower() for name in self.names), numbers, strict=True))

    def describe(self, vector: EmotionVector) -> dict[str, float]:
        """The values of a vector by the names of poles, such as {"joy": 0.9}; zeros are left out."""
        named: dict[str, float] = {}
        for name, value in zip(self.names, vector, strict=True):
            negative, positive = name.lower().split("_")
            if value:
                named[positive if value > 0 else negative] = abs(value)
        return named

    def _find_direction(self, name: str) -> tuple[int, float]:
        direction = self._directions.get(name.lower())
        if direction is not None:
            return direction
        near = difflib.get_close_matches(name.lower(), self._directions, n=1, cutoff=0.5)
        advice = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(self.poles)}"
        raise UnknownEmotion(f"unknown emotion {name!r}; {advice}")


DEFAULT_AXES = Axes(
    (
        "SADNESS_JOY",
        "FEAR_COURAGE",
        "DISGUST_ACCEPTANCE",
        "ANGER_CALMNESS",
        "SURPRISE_EXPECTATION",
        "DISTRUST_TRUST",
        "BOREDOM_INTEREST",
        "INDIFFERENCE_EMPATHY",
    )
)
