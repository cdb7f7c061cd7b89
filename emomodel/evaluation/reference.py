"""Asking a model the reference prompts, and comparing its answers with those in the bundle."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from emomodel.bundles.reference_prompts import Answer, Precision, Reference, ReferencePrompt, make_prompts, make_turns
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
    """What became of one reference prompt. `difference` and `effect` are shares of the logits' spread.

    `problem` says why the prompt could not be asked at all, and is empty when it could.
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
        """Whether the base model alone would have failed."""
        return self.effect > self.limit


@dataclass(frozen=True)
class AskedModel:
    """A model that can be asked, in training or loaded from a bundle. `adapter` holds, or is held by, the wrapper."""

    wrapper: EmotionalGemmaUnslothWrapper
    adapter: PeftModel
    tokenizer: PreTrainedTokenizerBase
    axes: Axes
    span: EmotionSpan


def make_reference(model: AskedModel) -> Reference:
    """Ask the model all reference prompts. It is left in the mode in which it was.

    Raises NotFinite, and what the model raises.
    """
    vocabulary_size = _get_vocabulary_size(model)
    step = max((vocabulary_size - 1) / (_SAMPLE_COUNT - 1), 1)
    sample_ids = sorted({int(index * step) for index in range(min(_SAMPLE_COUNT, vocabulary_size))})
    prompts = []
    with _evaluating(model.adapter):
        for name, (question, reply) in make_prompts(model.axes).items():
            turns = make_turns(question, reply, model.axes)
            input_ids, vectors, positions = _lay(model, turns)
            logits = _ask(model.wrapper, input_ids, vectors, positions)
            answers = [_take_answer(row, place, sample_ids) for row, place in zip(logits, positions, strict=True)]
            with model.adapter.disable_adapter():
                alone = _ask(model.wrapper, input_ids, None, positions)
            prompts.append(
                ReferencePrompt(
                    name=name,
                    question=question,
                    reply=reply,
                    input_ids=input_ids,
                    answers=answers,
                    effect=_round(_compare(answers, alone, sample_ids)),
                )
            )
    device = _get_embedding_weight(model.wrapper).device
    return Reference(
        precision=get_precision(model.wrapper),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else str(device.type),
        sample_ids=sample_ids,
        prompts=prompts,
    )


def check_reference(model: AskedModel, reference: Reference, tolerance: Tolerance) -> Iterator[PromptCheck]:
    """Ask the model each reference prompt anew."""
    for prompt in reference.prompts:
        limit = tolerance.get_limit(prompt.effect)
        try:
            difference = _ask_again(model, prompt, reference.sample_ids)
        except (EmotionError, _OtherTokens, NotFinite) as error:
            yield PromptCheck(prompt.name, math.inf, prompt.effect, limit, str(error))
        else:
            yield PromptCheck(prompt.name, difference, prompt.effect, limit)


def get_precision(wrapper: EmotionalGemmaUnslothWrapper) -> Precision:
    """Of the base model in the wrapper."""
    dtype = str(_get_embedding_weight(wrapper).dtype).removeprefix("torch.")
    return Precision.model_validate({"dtype": dtype, "in_4bit": bool(getattr(wrapper, "is_loaded_in_4bit", False))})


class _OtherTokens(Exception):
    """The tokenizer or the base model doesn't make of the text what it made when the bundle was."""


def _ask_again(model: AskedModel, prompt: ReferencePrompt, sample_ids: Sequence[int]) -> float:
    """The difference. Raises EmotionError, _OtherTokens, NotFinite."""
    input_ids, vectors, _ = _lay(model, prompt.make_turns(model.axes))
    if input_ids != prompt.input_ids:
        raise _OtherTokens("the tokenizer splits the text into other tokens")
    top_ids = (token_id for answer in prompt.answers for token_id in answer.top_ids)
    if max([*sample_ids, *input_ids, *top_ids]) >= _get_vocabulary_size(model):
        raise _OtherTokens("the base model's vocabulary is smaller")
    logits = _ask(model.wrapper, input_ids, vectors, [answer.position for answer in prompt.answers])
    return _compare(prompt.answers, logits, sample_ids)


def _lay(model: AskedModel, turns: Sequence[Turn]) -> tuple[list[int], list[EmotionVector], list[int]]:
    """Token ids, the emotion of each position, and the positions that are compared: from the reply's first token on."""
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
    """Logits (positions, vocabulary), float32 on the CPU, less their mean. Raises NotFinite.

    Without `vectors` the projection is left out.
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
    """Of logits (vocabulary,)."""
    log_probabilities, top_ids = logits.log_softmax(-1).topk(min(_TOP_COUNT, logits.shape[-1]))
    return Answer(
        position=position,
        top_ids=top_ids.tolist(),
        log_probabilities=[_round(value) for value in log_probabilities.tolist()],
        logits=[_round(value) for value in logits[sample_ids].tolist()],
        spread=_round(float(logits.std())),
    )


def _compare(answers: Sequence[Answer], logits: Tensor, sample_ids: Sequence[int]) -> float:
    """Root of the mean square of all differences from logits (positions, vocabulary), as a share of the spread."""
    differences = []
    for answer, row in zip(answers, logits, strict=True):
        now = torch.cat([row.log_softmax(-1)[answer.top_ids], row[list(sample_ids)]])
        then = torch.tensor([*answer.log_probabilities, *answer.logits])
        differences.append((now - then) / answer.spread)
    return float(torch.cat(differences).square().mean().sqrt())


@contextmanager
def _evaluating(model: PeftModel) -> Iterator[None]:
    """Within, the model evaluates; afterwards it is in the mode it was, and the same parameters are trained."""
    was_training = model.training
    # disable_adapter() leaves the adapter trainable, also where it was not.
    trained = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
        for parameter, requires_grad in trained:
            parameter.requires_grad_(requires_grad)


def _get_embedding_weight(wrapper: EmotionalGemmaUnslothWrapper) -> Tensor:
    """(vocabulary, hidden): where it lies and what it is made of holds for the whole base model."""
    embeddings: Any = wrapper.get_input_embeddings()
    weight: Tensor = embeddings.weight
    return weight


def _get_vocabulary_size(model: AskedModel) -> int:
    return _get_embedding_weight(model.wrapper).shape[0]


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
