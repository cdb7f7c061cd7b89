"""The constants of memory.py: what a training keeps in memory, in bytes per unit of width and token.

Each counts the tensors that autograd keeps; docs/memory.md compares the estimate with measured peaks. If a measurement
shows that a constant is wrong, correct it here.
"""

from dataclasses import dataclass
from typing import Literal

from emomodel.config import TrainConfig

GIB = 1024**3

Device = Literal["cpu", "cuda"]

FLOAT32_BYTES = 4
BFLOAT16_BYTES = 2

# nf4: half a byte, an 8-bit scale for 64 parameters, and a float32 scale for 256 of those.
NF4_BYTES = 0.5 + 1 / 64 + FLOAT32_BYTES / (64 * 256)

# AdamW in float32, per trained parameter: its gradient and two moments.
OPTIMIZER_BYTES = 3 * FLOAT32_BYTES

# In addition to the layers, per token and unit of the hidden size: three tensors within the emotion projection, of half
# that size, and the final norm's input, all float32; the head's input and its gradient, in 16 bits.
ENDS_BYTES = 3 * FLOAT32_BYTES // 2 + FLOAT32_BYTES + 2 * BFLOAT16_BYTES

# Not measured, but counted in transformers' code: the numbers of the size of the activations that are kept in addition.
# Per layer, hidden unit and expert that a token passes: the expert's input, its output, and that times its weight.
EXPERT_COPIES = 3
# Per layer, hidden unit and stream (Gemma 3n): the streams predicted, those they were predicted from, those corrected.
STREAM_COPIES = 3
# Per layer and unit of the inputs that each layer gets for the token itself (Gemma 3n, Gemma 4 E2B and E4B): the one
# looked up, the one projected, their sum, and the product with the layer's gate.
PER_LAYER_COPIES = 4

# Full logits at their peak in the backward pass, each per token and vocabulary entry: the logarithms of the
# probabilities, the gradient by them, and the gradient by the logits, all float32. The 16-bit logits are freed by then.
FULL_LOGIT_BYTES = 3 * FLOAT32_BYTES

# A fused loss makes the logits of a chunk of tokens and their gradient, in 16 bits. emomodel/model/head_loss.py takes
# chunks of 256 MiB of logits. Unsloth plans 4 GiB for 16 bytes a logit, of which its compiled kernels use 4.
FUSED_LOGIT_BYTES = 2 * BFLOAT16_BYTES
HEAD_LOSS_CHUNK_BYTES = GIB // 2
UNSLOTH_CHUNK_BYTES = GIB

# The CUDA context and its libraries (about 0.6 GiB), and what fragmentation of the allocator leaves unused. PyTorch's
# own peak doesn't count them.
CUDA_RESERVE_BYTES = 3 * GIB // 2
# Interpreter, libraries and tokenizer of a training process on a CPU (measured: 0.7 to 0.8 GiB).
CPU_RESERVE_BYTES = 8 * GIB // 10

# On a CPU the C library's heap keeps more than is in use, as batches of different lengths leave gaps. Measured over a
# few steps of Gemma 3 270M, with worker/trainers/environment.py's settings.
CPU_HEAP_FACTOR = 1.3


@dataclass(frozen=True)
class LayerCost:
    """Bytes that one layer keeps per token: per unit of each width, and per unit of the LoRA rank."""

    hidden: int
    query: int
    key_value: int
    intermediate: int
    rank: int
    mask: int
    """Per token of the row: the attention mask, which PyTorch's attention keeps in the type of the activations."""


@dataclass(frozen=True)
class Engine:
    """A way of computing the layers and the loss."""

    layer: LayerCost
    """What each layer keeps from the forward pass on."""
    backward: LayerCost
    """What the backward pass of one layer adds: the gradients within it, and what it recomputes."""
    full_logits: Literal["all", "labels", "none"]
    """The positions whose logits are all computed at once."""
    chunk_bytes: int = 0
    """If `full_logits` is "none": the most that the fused loss takes."""


# The libraries' standard code with 16-bit activations. PEFT makes a float32 copy of each module's input, and Gemma's
# norms do of theirs. hidden: 4 norms and the inputs of q, k, v, gate and up, in float32. query: rotated queries,
# repeated keys and values, the output (16 bits); the query norm's and o_proj's input (float32). key_value: the key
# norm's input. intermediate: gate before and after its activation, and up (16 bits); down_proj's input (float32).
# rank: one for each of 7 modules.
EAGER = LayerCost(hidden=9 * 4, query=4 * 2 + 2 * 4, key_value=4, intermediate=3 * 2 + 4, rank=7 * 4, mask=2)

# The libraries' standard code with float32 activations, where nothing is copied: modules share their inputs.
EAGER_FLOAT32 = LayerCost(hidden=6 * 4, query=5 * 4, key_value=4, intermediate=4 * 4, rank=7 * 4, mask=4)

# Compiled layers that recompute in the backward pass what is cheap. hidden: two residuals, two inputs of the
# modules and one output, 16 bits. query: queries before and after their norm, repeated keys and values, the output.
# key_value: keys and values. intermediate: gate, up and their product. Two measured peaks of one model with Unsloth, at
# 8,192 and 32,768 tokens, lie 62 KiB per token and layer apart, and this makes 63.
UNSLOTH = LayerCost(hidden=5 * 2, query=5 * 2, key_value=2 * 2, intermediate=3 * 2, rank=7 * 2, mask=2)

# The accelerated layers (emomodel/training/acceleration.py) recompute more, and keep only the results of matrix
# products and attention. hidden: their input and the outputs of o_proj and down_proj. query: queries before
# and after their norm, and the output. key_value: keys before and after their norm, and values. intermediate: gate
# and up.
COMPILED = LayerCost(hidden=3 * 2, query=3 * 2, key_value=3 * 2, intermediate=2 * 2, rank=7 * 2, mask=2)


def find_engine(config: TrainConfig, device: Device) -> Engine:
    """How a training with `config` computes on `device`."""
    is_float32 = config.dtype == "float32"
    eager = EAGER_FLOAT32 if is_float32 else EAGER
    takes_all = config.acceleration == "off" and not is_packed(config, device)
    with_transformers = Engine(eager, eager, "all" if takes_all else "labels")
    if device == "cpu":
        return with_transformers
    if config.acceleration == "auto" and not is_float32 and is_packed(config, device):
        # This does not depend on the library that loads the model.
        return Engine(COMPILED, UNSLOTH, "none", HEAD_LOSS_CHUNK_BYTES)
    if config.backend != "unsloth":
        # By default Unsloth's own code, which takes less, trains on a GPU machine that has it. Whether one does is not
        # known here.
        return with_transformers
    compiled = _widen(UNSLOTH) if is_float32 else UNSLOTH
    return Engine(compiled, compiled, "none", UNSLOTH_CHUNK_BYTES)


def is_packed(config: TrainConfig, device: Device) -> bool:
    """Whether the examples of a batch are joined into one row, without padding."""
    return config.batching == "packed" or (config.batching == "auto" and device == "cuda")


def _widen(cost: LayerCost) -> LayerCost:
    """The cost with float32 activations in place of 16-bit ones."""
    return LayerCost(
        hidden=2 * cost.hidden,
        query=2 * cost.query,
        key_value=2 * cost.key_value,
        intermediate=2 * cost.intermediate,
        rank=2 * cost.rank,
        mask=2 * cost.mask,
    )
