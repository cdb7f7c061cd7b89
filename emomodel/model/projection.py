"""The emotion projection: the small network that maps an emotion vector to the size of a token's input embedding."""

from typing import Any

import torch
from torch import nn

from emomodel.config import EmotionInit


def make_projection(axis_count: int, hidden_size: int, init: EmotionInit) -> nn.Sequential:
    """Make the emotion projection, float32, on the CPU: (..., axis_count) -> (..., hidden_size).

    The layers are those of the original project: linear, layer norm, GELU, linear, half the hidden size between them.
    With `init` "zero_last" the last layer is zero, so that training starts from the base model's own behaviour.
    "xavier" and "default" (PyTorch's own) start with an offset that is larger than a token's embedding, and training
    has to undo that damage first.
    """
    middle = hidden_size // 2
    first = nn.Linear(axis_count, middle, dtype=torch.float32)
    last = nn.Linear(middle, hidden_size, dtype=torch.float32)
    if init == "xavier":
        for layer in (first, last):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    elif init == "zero_last":
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return nn.Sequential(first, nn.LayerNorm(middle, dtype=torch.float32), nn.GELU(), last)


def get_layer_sizes(projection: nn.Sequential) -> tuple[int, int, int]:
    """The number of axes, the size between the two linear layers, and the base model's hidden size."""
    first: Any = projection[0]
    last: Any = projection[-1]
    return first.in_features, last.in_features, last.out_features
