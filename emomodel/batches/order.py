"""BatchOrder: which examples each forward pass of a training takes, from the first pass to the last.

The order depends only on the examples' lengths, the config and the seed. So a training that resumes after any step
takes the same batches as one that was never interrupted, and their sizes are known before the training starts.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Sampler

# Examples are sorted by length within groups of 50 batches, and an epoch has at least 4 groups. That is enough for
# batches of similar lengths, and mixes the batches enough: chats of one length are often of one kind.
_SORTED_BATCHES = 50
_MIN_GROUPS = 4
# More than the epochs of any training, so that two seeds never share the random numbers of an epoch.
_SEED_FACTOR = 1_000_003


@dataclass(frozen=True)
class Size:
    """The totals of a batch: its examples, their tokens, and the tokens among these that count in the loss."""

    example_count: int
    token_count: int
    target_count: int


class BatchOrder(Sampler[list[int]]):
    """All batches of a training in order, each as the indices of its examples. Only an epoch's last may be smaller."""

    def __init__(
        self,
        lengths: Sequence[int],
        target_counts: Sequence[int],
        *,
        batch_size: int,
        batch_count: int,
        seed: int,
        groups_by_length: bool,
        evens_batches: bool = False,
        weights: Tensor | None = None,
    ) -> None:
        """Order the examples whose tokens are `lengths` and whose tokens that count in the loss are `target_counts`.

        `groups_by_length` puts examples of similar lengths into a batch. `evens_batches` puts an example of each length
        into each batch, from short to long, so that all have about as many tokens. With `weights` (examples,) an epoch
        draws as many examples as there are, each with a probability proportional to its weight: some several times,
        some never.
        """
        self._lengths = torch.tensor(lengths)
        self._target_counts = torch.tensor(target_counts)
        self._batch_size = batch_size
        self._batch_count = batch_count
        self._seed = seed
        self._groups_by_length = groups_by_length
        self._evens_batches = evens_batches
        self._weights = weights
        self._token_counts = self._sum_by_batch(self._lengths)
        self._token_totals = self._token_counts.cumsum(0)

    def __len__(self) -> int:
        return self._batch_count

    def __iter__(self) -> Iterator[list[int]]:
        epochs = (self._order_epoch(epoch) for epoch in itertools.count())
        batches = itertools.chain.from_iterable(torch.split(order, self._batch_size) for order in epochs)
        return (batch.tolist() for batch in itertools.islice(batches, self._batch_count))

    @property
    def batches_per_epoch(self) -> int:
        """The number of batches in an epoch, which has as many examples as there are."""
        return math.ceil(len(self._lengths) / self._batch_size)

    @property
    def longest_example(self) -> int:
        """The number of tokens of the longest example."""
        return int(self._lengths.max())

    @property
    def largest(self) -> Size:
        """The maximum over all batches of each number; the three maxima may be of different batches."""
        return Size(
            example_count=min(self._batch_size, len(self._lengths)),
            token_count=int(self._token_counts.max()),
            target_count=int(self._sum_by_batch(self._target_counts).max()),
        )

    def count_tokens(self, batch_count: int) -> int:
        """The number of tokens in the first `batch_count` batches, without padding."""
        return int(self._token_totals[batch_count - 1]) if batch_count else 0

    def _order_epoch(self, epoch: int) -> Tensor:
        """The indices of the examples in the order of an epoch: (examples,) int64."""
        generator = torch.Generator().manual_seed(self._seed * _SEED_FACTOR + epoch)
        if self._weights is None:
            order = torch.randperm(len(self._lengths), generator=generator)
        else:
            order = torch.multinomial(self._weights, len(self._lengths), replacement=True, generator=generator)
        if self._evens_batches:
            return self._even_out(order, generator)
        if not self._groups_by_length:
            return order
        sorted_batches = min(max(len(order) // (self._batch_size * _MIN_GROUPS), 1), _SORTED_BATCHES)
        groups = torch.split(order, self._batch_size * sorted_batches)
        order = torch.cat([group[self._lengths[group].argsort(descending=True, stable=True)] for group in groups])
        batches = torch.split(order, self._batch_size)
        # A smaller batch stays the last one of the epoch: in another place it would shift all batches after it.
        full_count = len(self._lengths) // self._batch_size
        shuffled = torch.randperm(full_count, generator=generator).tolist()
        return torch.cat([batches[index] for index in [*shuffled, *range(full_count, len(batches))]])

    def _even_out(self, order: Tensor, generator: torch.Generator) -> Tensor:
        """Sort the examples of `order` by length, and give each batch one example of each range of lengths.

        The last examples, which make no full batch, stay at the end; they are as random as `order`.
        """
        batch_count = len(order) // self._batch_size
        full, rest = order.tensor_split([batch_count * self._batch_size])
        ranges = full[self._lengths[full].argsort(stable=True)].view(self._batch_size, batch_count)
        shuffled = [examples[torch.randperm(batch_count, generator=generator)] for examples in ranges]
        return torch.cat([torch.stack(shuffled, dim=1).flatten(), rest])

    def _sum_by_batch(self, values: Tensor) -> Tensor:
        """The sum of `values` (examples,) over the examples of each batch of the training: (batches,)."""
        epoch_count = math.ceil(self._batch_count / self.batches_per_epoch)
        missing = self.batches_per_epoch * self._batch_size - len(values)
        sums = [
            torch.nn.functional.pad(values[self._order_epoch(epoch)], (0, missing)).view(-1, self._batch_size).sum(1)
            for epoch in range(epoch_count)
        ]
        return torch.cat(sums)[: self._batch_count]


def measure_in_order(lengths: Sequence[int], target_counts: Sequence[int], batch_size: int) -> Size:
    """The largest batch when examples are taken in the order in which they are given; all zero without examples."""
    starts = range(0, len(lengths), batch_size)
    return Size(
        example_count=min(batch_size, len(lengths)),
        token_count=max((sum(lengths[start : start + batch_size]) for start in starts), default=0),
        target_count=max((sum(target_counts[start : start + batch_size]) for start in starts), default=0),
    )
