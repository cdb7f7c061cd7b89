"""report_rows: the loss of every example after a training, under its own emotion and under the neutral one."""

import logging
from pathlib import Path

from emomodel.batches.collator import DataCollatorForEmotionalGemma, as_tensors
from emomodel.config import TrainConfig
from emomodel.evaluation.losses import Evaluator
from emomodel.insights.row_report import ReportRow, write_row_report
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.protocol.progress import Notice, Reporter
from emomodel.samples.dataset import Samples
from emomodel.training.sample_loading import LoadedSamples

logger = logging.getLogger(__name__)


def report_rows(
    path: Path,
    loaded: LoadedSamples,
    wrapper: EmotionalGemmaUnslothWrapper,
    config: TrainConfig,
    pad_token_id: int,
    reporter: Reporter,
) -> None:
    """Write the losses of all examples, trained on and held out, to `path`, in nats per target token.

    A failure is logged and reported and doesn't fail the training, which is already complete.
    """
    axis_count = len(loaded.training.samples[0]["emotion_vectors"][0])
    collator = DataCollatorForEmotionalGemma(pad_token_id, axis_count)

    def measure(samples: Samples, lines: list[int], *, held_out: bool) -> list[ReportRow]:
        tensors = [as_tensors(sample) for sample in samples.samples]
        losses = Evaluator(wrapper, collator, tensors, batch_size=config.batch_size).measure()
        return [
            ReportRow(line, held_out, loss.target_count, loss.loss, loss.neutral_loss)
            for line, loss in zip(lines, losses, strict=True)
        ]

    try:
        rows = measure(loaded.training, loaded.training_lines, held_out=False)
        rows += measure(loaded.held_out, loaded.held_out_lines, held_out=True)
        write_row_report(path, sorted(rows, key=lambda row: (row.held_out, row.line)))
    except Exception:
        logger.exception("no row report")
        reporter.report(Notice(code="row_report_missing", message="the examples' losses could not be measured"))
