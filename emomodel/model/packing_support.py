"""keeps_packed_examples_apart: whether a base model computes each example of a packed row as it would alone."""

import torch
from torch import Tensor

from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper

# Two examples of a few tokens show it: what a position keeps from the example before is strongest at the border.
_BEFORE, _AFTER = 12, 4
# The difference between packed and alone, as a share of the difference that the first example would make as the
# beginning of the second. Rounding to 16 bits makes 0.01, an example that reaches the next about 1.
_LIMIT = 0.2


@torch.no_grad()
def keeps_packed_examples_apart(wrapper: EmotionalGemmaUnslothWrapper) -> bool:
    """Measure whether `position_ids` that begin again at each example keep the examples of a row apart.

    In some models they don't: a linear attention or a convolution carries a state from token to token, and some classes
    of transformers (gpt-oss, Falcon, OPT) make their masks without looking at the positions.
    """
    vocabulary = wrapper.get_head_weight().shape[0]
    count = _BEFORE + _AFTER
    # Any tokens will do; these are spread over the vocabulary.
    row = torch.arange(count, device=wrapper.device).unsqueeze(0) * (vocabulary // count)
    positions = torch.arange(count, device=wrapper.device).unsqueeze(0)
    restarted = torch.cat([positions[:, :_BEFORE], positions[:, :_AFTER]], dim=1)

    def compute(input_ids: Tensor, position_ids: Tensor) -> Tensor:
        neutral = torch.zeros(*input_ids.shape, wrapper.axis_count, device=wrapper.device)
        return wrapper.hidden_states(input_ids, neutral, position_ids=position_ids)[:, -_AFTER:].float()

    alone = compute(row[:, _BEFORE:], positions[:, :_AFTER])
    packed, continued = compute(row, restarted), compute(row, positions)
    return bool((packed - alone).norm() < _LIMIT * (continued - alone).norm())
