"""transformers' Trainer, with an order of batches that is known beforehand, recorded passes, and whole checkpoints."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer

from emomodel.batching import BatchOrder
from emomodel.checkpoint_folder import load_trained, save_trained
from emomodel.cuda_graph import GraphedPass

logger = logging.getLogger(__name__)


class EmotionalTrainer(Trainer):
    """Takes its batches in the order of a BatchOrder, which covers the whole training as one epoch of the Trainer."""

    def __init__(
        self,
        *,
        order: BatchOrder,
        records_pass: bool,
        on_not_recorded: Callable[[str], None],
        **options: Any,
    ) -> None:
        """`records_pass`: replay the forward and backward pass as a CUDA graph; all batches then have one shape.

        `on_not_recorded` is called with the reason when that can't be done, and the training goes on without.
        """
        super().__init__(**options)
        self._order = order
        self._records_pass = records_pass
        self._on_not_recorded = on_not_recorded
        self._pass: GraphedPass | None = None

    def get_train_dataloader(self) -> DataLoader[Any]:
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset,  # type: ignore[arg-type]  # a list serves as a dataset
            batch_sampler=self._order,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        if not self._records_pass:
            loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
            return loss
        model.train()
        batch = self._prepare_inputs(inputs) | {"num_items_in_batch": num_items_in_batch}
        if self._pass is None:
            try:
                self._pass = GraphedPass(model, batch, accumulates=self.args.gradient_accumulation_steps > 1)
            except RuntimeError as error:
                logger.warning("the pass can't be recorded as a CUDA graph", exc_info=True)
                self._records_pass = False
                torch.cuda.empty_cache()
                self._on_not_recorded(str(error).strip().partition("\n")[0])
                return self.training_step(model, inputs, num_items_in_batch)
        return self._pass(batch)

    def floating_point_ops(self, inputs: dict[str, Tensor | Any]) -> int:  # noqa: ARG002 - the Trainer's signature
        """Not counted: the Trainer would go through all parameters at each step to do so."""
        return 0

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        folder = output_dir or self.args.output_dir
        save_trained(self._get_model(), Path(str(folder)))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_trained(model or self._get_model(), Path(resume_from_checkpoint))

    def _get_model(self) -> nn.Module:
        model: nn.Module = self.model  # type: ignore[assignment]  # only before training can it be None
        return model
