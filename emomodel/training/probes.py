"""Small forward passes before a training, which measure whether the base model computes what faster code assumes."""

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from emomodel.batches.collator import find_target_positions
from emomodel.model.packed_attention import packed_attention
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper

# A few tokens show whether two computations of the loss agree up to the rounding of 16 bits. With a tolerance of 1 % a
# model that scales its logits by 0.98 is recognised.
_PROBE_TOKENS = 16
_PROBE_TOLERANCE = 0.01
# The lengths of two examples in a row. A few tokens are enough, as the first tokens of an example are influenced most.
_BEFORE, _AFTER = 12, 4
# The maximum difference between the second example packed and alone, as a share of the difference that the first one
# makes if it is the beginning of the second. Rounding to 16 bits makes 0.01, an influence of the first example about 1.
_LEAK_LIMIT = 0.2


@torch.no_grad()
def head_is_plain(wrapper: EmotionalGemmaUnslothWrapper) -> bool:
    """Whether the base model's logits are the product with the head's weight, soft-capped or not, and nothing else.

    Some models scale the logits or add a bias. They are recognised by their loss on a few tokens.
    """
    ids = _spread_ids(wrapper, _PROBE_TOKENS)
    batch = {"input_ids": ids, "labels": ids, "target_positions": find_target_positions(ids)}
    own = wrapper(**batch).loss
    wrapper.has_fused_head = True
    try:
        fused = wrapper(**batch).loss
    finally:
        wrapper.has_fused_head = False
    return torch.allclose(own.float(), fused, rtol=_PROBE_TOLERANCE)


@torch.no_grad()
def keeps_examples_apart(wrapper: EmotionalGemmaUnslothWrapper, *, marks_pieces: bool) -> bool:
    """Measure whether the examples of a row influence each other.

    transformers makes a mask of `position_ids` that start again at each example; with `marks_pieces`,
    emomodel.model.packed_attention gets the starts of the examples. In some models neither helps: a linear attention or
    a convolution carries a state from token to token, and some classes of transformers (gpt-oss, Falcon, OPT) make
    their masks without looking at the positions.
    """
    count = _BEFORE + _AFTER
    row = _spread_ids(wrapper, count)
    positions = torch.arange(count, device=wrapper.device).unsqueeze(0)
    restarted = torch.cat([positions[:, :_BEFORE], positions[:, :_AFTER]], dim=1)
    starts = torch.tensor([0, _BEFORE, count], dtype=torch.int32, device=wrapper.device)
    marks = {"cu_seq_lens_q": starts, "max_length_q": _BEFORE} if marks_pieces else {}

    def compute(input_ids: Tensor, position_ids: Tensor, **arguments: Any) -> Tensor:
        neutral = torch.zeros(*input_ids.shape, wrapper.axis_count, device=wrapper.device)
        return wrapper.hidden_states(input_ids, neutral, position_ids=position_ids, **arguments)[:, -_AFTER:].float()

    alone, continued = compute(row[:, _BEFORE:], positions[:, :_AFTER]), compute(row, positions)
    with packed_attention(wrapper.model) if marks_pieces else nullcontext():
        try:
            packed = compute(row, restarted, **marks)
        except NotImplementedError:
            # The attention can't do what the model asks of it.
            return False
    return bool((packed - alone).norm() < _LEAK_LIMIT * (continued - alone).norm())


def _spread_ids(wrapper: EmotionalGemmaUnslothWrapper, count: int) -> Tensor:
    """Make (1, count) tokens. Any will do; these are spread over the vocabulary."""
    vocabulary = wrapper.get_head_weight().shape[0]
    return torch.arange(count, device=wrapper.device).unsqueeze(0) * (vocabulary // count)
