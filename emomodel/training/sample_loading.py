"""load_samples: the dataset of a job becomes samples, and what its owner should know about them is reported."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from emomodel.data.examples import Example, read_examples
from emomodel.data.problems import LinesInvalid
from emomodel.data.splitting import Split, split_examples
from emomodel.emotions import Axes
from emomodel.errors import DatasetChanged, DatasetRefused, ModelLoadFailed, NoTargets
from emomodel.model.loading import LoadedBaseModel
from emomodel.protocol.progress import Notice, Reporter
from emomodel.protocol.train_request import TrainRequest
from emomodel.samples.chat import ChatFormat
from emomodel.samples.chat_text import ChatError
from emomodel.samples.dataset import Samples, make_samples
from emomodel.samples.tokenizer_comparison import COMPARED_EXAMPLES, find_difference

_LISTED_LINES = 10


@dataclass(frozen=True)
class LoadedSamples:
    """The samples to train on, and those held out, on which the loss is only measured; there may be none of these.

    `training_lines` and `held_out_lines` are the line numbers of the samples in their file. `compared` are the examples
    whose tokens report_tokenizer_difference compares.
    """

    training: Samples
    held_out: Samples
    training_lines: list[int]
    held_out_lines: list[int]
    compared: list[Example]


def load_samples(request: TrainRequest, base: LoadedBaseModel, axes: Axes, reporter: Reporter) -> LoadedSamples:
    """Read the dataset of `request` and turn its examples into samples for the base model.

    Notices are reported when examples were cut or left out, and when nothing is held out though something should be.
    Raises DatasetRefused when the dataset is invalid, DatasetChanged when it has changed, NoTargets when no reply is
    within max_length, ModelLoadFailed when the tokenizer and the model don't fit each other.
    """
    config = request.config
    split = _read_split(request, axes)
    try:
        chat_format = ChatFormat(base.tokenizer)
        training, held_out = (
            make_samples(
                examples,
                chat_format,
                neutral=axes.neutral,
                rule=config.emotion_span,
                max_length=config.max_length,
                fixed_pad_id=base.tokenizer.pad_token_id if config.batching == "fixed" else None,
            )
            for examples in (split.training, split.held_out)
        )
    except ChatError as error:
        raise ModelLoadFailed(str(error)) from error
    _check_ids(training, base)
    _check_ids(held_out, base)
    for notice in _make_notices(training, config.max_length):
        reporter.report(notice)
    if not training.samples:
        raise NoTargets(f"no example has a reply within its first {config.max_length} tokens (max_length)")
    if (split.held_out or config.eval_fraction) and not held_out.samples:
        message = "nothing is left to measure the loss on: raise eval_fraction, or take a larger dataset"
        reporter.report(Notice(code="nothing_held_out", message=message))
    return LoadedSamples(
        training,
        held_out,
        _list_lines(split.training, training),
        _list_lines(split.held_out, held_out),
        compared=split.training[:COMPARED_EXAMPLES],
    )


def report_tokenizer_difference(
    request: TrainRequest, base: LoadedBaseModel, loaded: LoadedSamples, reporter: Reporter
) -> None:
    """Report a notice if the training's tokens differ from those of the dataset's statistics.

    It loads another tokenizer, which takes more than a second for Gemma's, so this is done when the training is over.
    """
    difference = find_difference(Path(request.base_model_path), ChatFormat(base.tokenizer), loaded.compared)
    if difference is not None:
        message = f"the tokens differ from those in the dataset's statistics and preview: {difference}"
        reporter.report(Notice(code="tokenizer_differs", message=message))


def _list_lines(examples: list[Example], samples: Samples) -> list[int]:
    dropped = set(samples.dropped_lines)
    return [example.line for example in examples if example.line not in dropped]


def _read_split(request: TrainRequest, axes: Axes) -> Split:
    config, validation = request.config, request.validation
    _check_file(request.dataset_path, request.dataset_sha256, "dataset")
    try:
        split = split_examples(
            read_examples(request.dataset_path, axes), held_out_share=config.eval_fraction, limit=config.sample_limit
        )
        if validation is not None:
            _check_file(validation.path, validation.sha256, "validation dataset")
            split = Split(split.training, list(read_examples(validation.path, axes)))
    except LinesInvalid as error:
        raise DatasetRefused(str(error)) from error
    return split


def _check_ids(samples: Samples, base: LoadedBaseModel) -> None:
    """Raise ModelLoadFailed for a token without an embedding, which on a GPU would end the process without a reason."""
    row_count = base.model.get_input_embeddings().weight.shape[0]  # type: ignore[operator]  # untyped
    largest = max((max(sample["input_ids"]) for sample in samples.samples), default=0)
    if largest >= row_count:
        raise ModelLoadFailed(
            f"the base model's tokenizer makes token {largest}, but the model has only {row_count} embeddings; "
            "the folder's tokenizer belongs to another model"
        )


def _make_notices(samples: Samples, max_length: int) -> list[Notice]:
    notices = []
    if samples.truncated_count:
        message = f"{samples.truncated_count} examples are longer than max_length={max_length} tokens and were cut"
        notices.append(Notice(code="examples_truncated", message=message))
    if samples.dropped_lines:
        lines = ", ".join(map(str, samples.dropped_lines[:_LISTED_LINES]))
        more = ", ..." if len(samples.dropped_lines) > _LISTED_LINES else ""
        message = (
            f"{len(samples.dropped_lines)} examples have no reply within max_length={max_length} tokens "
            f"and were left out: lines {lines}{more}"
        )
        notices.append(Notice(code="examples_dropped", message=message))
    return notices


def _check_file(path: Path, sha256: str, what: str) -> None:
    """Raise DatasetChanged when the file is missing, or is not the one that the job was created with."""
    if not path.is_file():
        raise DatasetChanged(f"the {what} file {path} does not exist")
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
            raise DatasetChanged(f"the {what} file has changed since the job was created")
