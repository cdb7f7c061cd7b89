"""The reference prompts: a model's answers are recorded in its bundle, and compared when the bundle is loaded again."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from emomodel.bundles.reference_prompts import (
    Answer,
    Precision,
    Reference,
    ReferencePrompt,
    ReplyPart,
    make_prompts,
    make_turns,
)
from emomodel.bundles.tolerance import Tolerance
from emomodel.config import EmotionSpan
from emomodel.data.examples import Turn
from emomodel.emotions import Axes, EmotionError, EmotionVector
from emomodel.errors import ModelError
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.samples.chat import ChatFormat
from emomodel.samples.dataset import lay_emotions

_POSITION_COUNT = 4
_TOP_COUNT = 8
_SAMPLE_COUNT = 64
_DIGITS = 5


class NotFinite(ModelError):
    """The model's logits are not finite numbers."""

    code = "logits_not_finite"


@dataclass(frozen=True)
class PromptCheck:
    """The result of one reference prompt.

    `difference` from the recorded answers and `effect`, that of the base model alone, are fractions of the logits'
    standard deviation; `limit` is the maximum difference. `problem` says why the prompt could not be asked, else it is
    empty.
    """

    name: str
    difference: float
    effect: float
    limit: float
    problem: str = ""

    @property
    def has_passed(self) -> bool:
        return self.difference <= self.limit

    @property
    def is_telling(self) -> bool:
        """Whether the base model alone would have failed, so that passing proves something."""
        return self.effect > self.limit


@dataclass(frozen=True)
class AskedModel:
    """A model that is asked the reference prompts, after its training or loaded from a bundle.

    After a training `adapter` contains `wrapper`; in a loaded bundle `wrapper` contains `adapter`.
    """

    wrapper: EmotionalGemmaUnslothWrapper
    adapter: PeftModel
    tokenizer: PreTrainedTokenizerBase
    axes: Axes
    span: EmotionSpan


def make_reference(model: AskedModel) -> Reference:
    """Ask the model all reference prompts. Its mode, training or evaluation, is the same afterwards.

    Raises NotFinite when the logits are not finite numbers; errors of the model itself are passed on.
    """
    vocabulary_size = _get_vocabulary_size(model)
    step = max((vocabulary_size - 1) / (_SAMPLE_COUNT - 1), 1)
    sample_ids = sorted({int(index * step) for index in range(min(_SAMPLE_COUNT, vocabulary_size))})
    with _evaluating(model.adapter):
        prompts = [
            _ask_prompt(model, name, question, reply, sample_ids)
            for name, (question, reply) in make_prompts(model.axes).items()
        ]
    device = _get_embedding_weight(model.wrapper).device
    return Reference(
        precision=get_precision(model.wrapper),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else str(device.type),
        sample_ids=sample_ids,
        prompts=prompts,
    )


def _ask_prompt(
    model: AskedModel, name: str, question: str, reply: tuple[ReplyPart, ...], sample_ids: list[int]
) -> ReferencePrompt:
    input_ids, vectors, positions = _lay(model, make_turns(question, reply, model.axes))
    logits = _ask(model.wrapper, input_ids, vectors, positions)
    answers = [_take_answer(row, place, sample_ids) for row, place in zip(logits, positions, strict=True)]
    with model.adapter.disable_adapter():
        alone = _ask(model.wrapper, input_ids, None, positions)
    return ReferencePrompt(
        name=name,
        question=question,
        reply=reply,
        input_ids=input_ids,
        answers=answers,
        effect=_round(_compare(answers, alone, sample_ids)),
    )


def check_reference(model: AskedModel, reference: Reference, tolerance: Tolerance) -> Iterator[PromptCheck]:
    """Ask the model each reference prompt again, and yield how far its answers differ from the recorded ones."""
    for prompt in reference.prompts:
        limit = tolerance.get_limit(prompt.effect)
        try:
            difference = _ask_again(model, prompt, reference.sample_ids)
        except (EmotionError, _OtherTokens, NotFinite) as error:
            yield PromptCheck(prompt.name, math.inf, prompt.effect, limit, str(error))
        else:
            yield PromptCheck(prompt.name, difference, prompt.effect, limit)


def get_precision(wrapper: EmotionalGemmaUnslothWrapper) -> Precision:
    """The precision of the weights of the base model in the wrapper."""
    dtype = str(_get_embedding_weight(wrapper).dtype).removeprefix("torch.")
    return Precision.model_validate({"dtype": dtype, "in_4bit": bool(getattr(wrapper, "is_loaded_in_4bit", False))})


class _OtherTokens(Exception):
    """Tokenizer or base model have other tokens than when the answers were recorded."""


def _ask_again(model: AskedModel, prompt: ReferencePrompt, sample_ids: Sequence[int]) -> float:
    """Ask once more and return the difference. Raises EmotionError, _OtherTokens, NotFinite."""
    input_ids, vectors, _ = _lay(model, prompt.make_turns(model.axes))
    if input_ids != prompt.input_ids:
        raise _OtherTokens("the tokenizer splits the text into other tokens")
    top_ids = (token_id for answer in prompt.answers for token_id in answer.top_ids)
    if max([*sample_ids, *input_ids, *top_ids]) >= _get_vocabulary_size(model):
        raise _OtherTokens("the base model's vocabulary is smaller")
    logits = _ask(model.wrapper, input_ids, vectors, [answer.position for answer in prompt.answers])
    return _compare(prompt.answers, logits, sample_ids)


def _lay(model: AskedModel, turns: Sequence[Turn]) -> tuple[list[int], list[EmotionVector], list[int]]:
    """Token ids, the emotion of each position, and the compared positions, spread over those that predict the reply."""
    chat = ChatFormat(model.tokenizer).tokenise(turns)
    vectors = lay_emotions(chat.own, chat.is_reply, model.axes.neutral, model.span)
    deciding = [index - 1 for index, is_reply in enumerate(chat.is_reply) if is_reply]
    last = len(deciding) - 1
    positions = [deciding[round(index * last / (_POSITION_COUNT - 1))] for index in range(_POSITION_COUNT)]
    return chat.input_ids, vectors, positions


@torch.no_grad()
def _ask(
    wrapper: EmotionalGemmaUnslothWrapper,
    input_ids: list[int],
    vectors: list[EmotionVector] | None,
    positions: list[int],
) -> Tensor:
    """The logits at `positions`, less their mean: (positions, vocabulary) float32, on the CPU. Raises NotFinite.

    Without `vectors` the base model is called without the projection.
    """
    device = _get_embedding_weight(wrapper).device
    ids = torch.tensor([input_ids], device=device)
    mask = torch.ones_like(ids)
    if vectors is None:
        output = wrapper.model(input_ids=ids, attention_mask=mask, use_cache=False)
    else:
        emotion = torch.tensor([vectors], device=device)
        output = wrapper(input_ids=ids, attention_mask=mask, emotion_vector=emotion, use_cache=False)
    logits: Tensor = output.logits[0, positions].float().cpu()
    if not bool(logits.isfinite().all()):
        raise NotFinite("the model's logits are not finite numbers")
    return logits - logits.mean(-1, keepdim=True)


def _take_answer(logits: Tensor, position: int, sample_ids: list[int]) -> Answer:
    """What is recorded of the logits (vocabulary,) at one position."""
    log_probabilities, top_ids = logits.log_softmax(-1).topk(min(_TOP_COUNT, logits.shape[-1]))
    return Answer(
        position=position,
        top_ids=top_ids.tolist(),
        log_probabilities=[_round(value) for value in log_probabilities.tolist()],
        logits=[_round(value) for value in logits[sample_ids].tolist()],
        spread=_round(float(logits.std())),
    )


def _compare(answers: Sequence[Answer], logits: Tensor, sample_ids: Sequence[int]) -> float:
    """The root mean square of all differences from `logits` (positions, vocabulary), as a fraction of the spread."""
    differences = []
    for answer, row in zip(answers, logits, strict=True):
        now = torch.cat([row.log_softmax(-1)[answer.top_ids], row[list(sample_ids)]])
        then = torch.tensor([*answer.log_probabilities, *answer.logits])
        differences.append((now - then) / answer.spread)
    return float(torch.cat(differences).square().mean().sqrt())


@contextmanager
def _evaluating(model: PeftModel) -> Iterator[None]:
    """Put the model into evaluation mode; afterwards it has its mode back, and the same parameters are trained."""
    was_training = model.training
    # disable_adapter() makes the adapter trainable when it ends, even if it was not before.
    trained = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
        for parameter, requires_grad in trained:
            parameter.requires_grad_(requires_grad)


def _get_embedding_weight(wrapper: EmotionalGemmaUnslothWrapper) -> Tensor:
    """The weight (vocabulary, hidden), whose device and type are taken for those of the whole base model."""
    embeddings: Any = wrapper.get_input_embeddings()
    weight: Tensor = embeddings.weight
    return weight


def _get_vocabulary_size(model: AskedModel) -> int:
    return _get_embedding_weight(model.wrapper).shape[0]


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
