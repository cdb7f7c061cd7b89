"""Makes training on CUDA several times faster than plain transformers, with the same result.

- Examples are packed, and attention needs no mask (emomodel.model.packed_attention).
- The loss of the head is computed in chunks, and only where labels are (emomodel.model.head_loss).
- Each decoder layer is compiled. All layers of one kind have the same code, which is compiled once.
- An update is replayed as CUDA graphs (emomodel.training.cuda_graph), since all batches have one shape.
- 4-bit weights are decoded by Unsloth's kernel, where Unsloth is installed (emomodel.model.nf4).

It works with causal models of transformers that pass the arguments of their caller on to their layers: Gemma 3, Llama,
Qwen and most others. A model that Unsloth has loaded gets transformers' own code back (emomodel.model.unsloth_model).
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft.helpers import disable_input_dtype_casting

from emomodel.config import TrainConfig
from emomodel.model.nf4 import decoding_nf4_with_unsloth, has_nf4_kernel
from emomodel.model.packed_attention import has_packed_attention, packed_attention
from emomodel.model.unsloth_model import restore_library_code
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.training.probes import head_is_plain, keeps_examples_apart

# A layer is compiled for each kind of layer, with and without gradients. This is far more than a model needs; beyond
# PyTorch's own limit, which is 8, a layer would silently run uncompiled.
_RECOMPILE_LIMIT = 64
# The fraction of a layer's activations that the compiler may keep for the backward pass. With anything from 0.8 to just
# under 1 it recomputes those that take no matrix product and no attention (the norms, the product of gate and up), a
# third of them. On an H200 that brought the peak of 8 rows of 1,024 tokens from 15.8 to 11.5 GiB (Unsloth: 15.2),
# and that of 800 short chats from 55.1 to 39.0, at 1 % of the speed of the latter (docs/performance.md).
_ACTIVATION_BUDGET = 0.9


@dataclass(frozen=True)
class Preparation:
    """Whether a training is accelerated, and whether the model runs Unsloth's code: with the acceleration never."""

    accelerates: bool
    runs_unsloth: bool


def prepare_acceleration(
    wrapper: EmotionalGemmaUnslothWrapper, config: TrainConfig, *, with_unsloth: bool
) -> Preparation:
    """Decide whether to do what this module's docstring lists, by `config`, this machine and the loaded model.

    Before the measurements at the end, a model that was loaded `with_unsloth` gets the libraries' own code, since
    Unsloth's would first compile. It keeps the libraries' code even if the measurements rule the acceleration out.
    """
    refused = Preparation(accelerates=False, runs_unsloth=with_unsloth)
    if config.acceleration == "off" or not torch.cuda.is_available():
        return refused
    if wrapper.get_head_weight().dtype != torch.bfloat16 or not has_packed_attention(wrapper.model):
        return refused
    if with_unsloth and not restore_library_code(wrapper.model):
        return refused
    return Preparation(head_is_plain(wrapper) and keeps_examples_apart(wrapper, marks_pieces=True), runs_unsloth=False)


@contextmanager
def accelerated(wrapper: EmotionalGemmaUnslothWrapper, peft_model: Any) -> Iterator[None]:
    """Compile the layers of `wrapper`, which takes only packed batches with marked pieces until the block ends."""
    # Imported here, since the compiler takes seconds to import and nothing else needs it.
    from torch._dynamo import config as compiler_config
    from torch._functorch import config as partitioner_config

    compiler_config.recompile_limit = _RECOMPILE_LIMIT
    # The layers of bitsandbytes are functions of this kind. Without it only the kernels would be taken from the cache,
    # and each job would trace and partition the layers again, which takes longer.
    partitioner_config.autograd_cache_allow_custom_autograd_functions = True
    partitioner_config.activation_memory_budget = _ACTIVATION_BUDGET
    layers = list(wrapper.model.get_decoder().layers)
    with ExitStack() as stack:
        stack.enter_context(packed_attention(wrapper.model))
        # The adapter's weights are float32, and autocast computes its matrix products in 16 bits. PEFT would cast their
        # inputs to float32, which autocast would only undo.
        stack.enter_context(disable_input_dtype_casting(peft_model))
        stack.enter_context(_zeroing_trained_only(peft_model))
        if has_nf4_kernel():
            stack.enter_context(decoding_nf4_with_unsloth())
        for layer in layers:
            layer.compile(dynamic=False)
        wrapper.has_fused_head = wrapper.compiles_head = True
        try:
            yield
        finally:
            wrapper.has_fused_head = wrapper.compiles_head = False
            for layer in layers:
                layer._compiled_call_impl = None  # noqa: SLF001 - PyTorch has no public way back


@contextmanager
def _zeroing_trained_only(peft_model: Any) -> Iterator[None]:
    """Make `zero_grad` skip the frozen parameters. The Trainer calls it at each update, and walking all takes 2 ms."""
    trained = [parameter for parameter in peft_model.parameters() if parameter.requires_grad]

    def zero_grad(set_to_none: bool = True) -> None:  # noqa: ARG001 - the signature is PyTorch's
        for parameter in trained:
            parameter.grad = None

    peft_model.zero_grad = zero_grad
    try:
        yield
    finally:
        del peft_model.zero_grad
