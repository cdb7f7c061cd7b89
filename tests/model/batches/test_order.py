"""Property tests of the order of batches and of packed rows."""

import itertools
import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.training_chats import LENGTHS_FILE
from emomodel.batches.order import BatchOrder
from emomodel.batches.packing import PackingCollator, Shape
from emomodel.samples.dataset import IGNORED_LABEL
from emomodel.sizing.steps import count_batches

pytestmark = pytest.mark.model

AXES = 3
PAD = 7
lengths_of_examples = st.lists(st.integers(2, 40), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("examples", "batch", "accumulation", "epochs", "limit", "batches"),
    [
        (12, 4, 1, 1.0, None, 3),
        (13, 4, 1, 1.0, None, 4),
        (13, 4, 2, 2.5, None, 10),
        (3, 12, 4, 1.0, None, 1),
        (100, 1, 1, 0.001, None, 1),
        (12, 4, 1, 10.0, 7, 7),
        (12, 4, 2, 10.0, 7, 14),
        (12, 4, 1, 1.0, 7, 3),
    ],
)
def test_count_batches(
    examples: int, batch: int, accumulation: int, epochs: float, limit: int | None, batches: int
) -> None:
    counted = count_batches(
        examples, batch_size=batch, gradient_accumulation=accumulation, epochs=epochs, max_steps=limit
    )
    assert counted == batches


def make_order(lengths: list[int], batch_size: int, batch_count: int, *, seed: int = 3, grouped: bool) -> BatchOrder:
    targets = [length // 2 for length in lengths]
    return BatchOrder(
        lengths, targets, batch_size=batch_size, batch_count=batch_count, seed=seed, groups_by_length=grouped
    )


@settings(deadline=None)
@given(lengths_of_examples, st.integers(1, 9), st.integers(1, 3), st.booleans())
def test_each_epoch_takes_each_example_once(
    lengths: list[int], batch_size: int, epoch_count: int, grouped: bool
) -> None:
    per_epoch = -(-len(lengths) // batch_size)
    order = make_order(lengths, batch_size, per_epoch * epoch_count, grouped=grouped)
    batches = list(order)
    assert order.batches_per_epoch == per_epoch
    assert len(batches) == len(order) == per_epoch * epoch_count
    for epoch in range(epoch_count):
        taken = itertools.chain.from_iterable(batches[epoch * per_epoch : (epoch + 1) * per_epoch])
        assert sorted(taken) == list(range(len(lengths)))


@settings(deadline=None)
@given(lengths_of_examples, st.integers(1, 9), st.integers(1, 25), st.booleans())
def test_the_order_knows_its_batches_beforehand(
    lengths: list[int], batch_size: int, batch_count: int, grouped: bool
) -> None:
    order = make_order(lengths, batch_size, batch_count, grouped=grouped)
    batches = list(order)
    assert batches == list(make_order(lengths, batch_size, batch_count, grouped=grouped))
    tokens = [sum(lengths[index] for index in batch) for batch in batches]
    assert [order.count_tokens(count) for count in range(batch_count + 1)] == [0, *itertools.accumulate(tokens)]
    assert order.largest.token_count == max(tokens)
    assert order.largest.target_count == max(sum(lengths[index] // 2 for index in batch) for batch in batches)
    assert order.longest_example == max(lengths)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    lengths = list(range(2, 66))
    batches = list(make_order(lengths, 8, 16, grouped=False))
    assert batches[:8] != batches[8:]
    assert list(make_order(lengths, 8, 8, grouped=False)) != list(make_order(lengths, 8, 8, seed=4, grouped=False))


def test_grouping_puts_like_lengths_into_a_batch_and_keeps_the_batches_shuffled() -> None:
    lengths = [(index * 37) % 64 + 2 for index in range(1024)]
    batches = list(make_order(lengths, 8, 128, grouped=True))
    spans = [max(lengths[i] for i in batch) - min(lengths[i] for i in batch) for batch in batches]
    # A group of 32 batches has four examples of each length.
    assert sum(spans) / len(spans) <= 4
    longest = [max(lengths[i] for i in batch) for batch in batches]
    ascents = sum(later > earlier for earlier, later in itertools.pairwise(longest))
    assert 40 < ascents < 88


def test_a_small_dataset_is_hardly_grouped() -> None:
    # Three batches: if they were sorted, each would have the chats of one kind in every epoch.
    lengths = [index % 3 + 10 for index in range(36)]
    batches = list(make_order(lengths, 12, 3, grouped=True))
    assert all(len({lengths[index] for index in batch}) == 3 for batch in batches)


def make_sample(length: int, first_id: int) -> dict[str, Any]:
    """A sample whose ids show where they are from, with labels on its second half and, wrongly, on its first token."""
    ids = list(range(first_id, first_id + length))
    labels = [token if place == 0 or place >= length // 2 else IGNORED_LABEL for place, token in enumerate(ids)]
    emotions = [(token / 1e4, -token / 1e4, 1.0) for token in ids]
    return {"input_ids": ids, "attention_mask": [1] * length, "emotion_vectors": emotions, "labels": labels}


@settings(deadline=None)
@given(lengths_of_examples)
def test_a_packed_row_holds_each_sample_complete_and_restarts_its_positions(lengths: list[int]) -> None:
    samples = [make_sample(length, 100 * (index + 1)) for index, length in enumerate(lengths)]
    batch: dict[str, Any] = PackingCollator(PAD, AXES)(samples)
    assert batch.keys() == {"input_ids", "position_ids", "labels", "emotion_vector", "target_positions"}
    start = 0
    for sample, length in zip(samples, lengths, strict=True):
        part = slice(start, start + length)
        assert batch["input_ids"][0, part].tolist() == sample["input_ids"]
        assert batch["position_ids"][0, part].tolist() == list(range(length))
        torch.testing.assert_close(batch["emotion_vector"][0, part], torch.tensor(sample["emotion_vectors"]))
        # The label of a sample's first token would be learnt from the sample before.
        assert batch["labels"][0, part].tolist() == [IGNORED_LABEL, *sample["labels"][1:]]
        start += length
    assert batch["input_ids"].shape == (1, start)
    predicted = batch["labels"][0, batch["target_positions"] + 1]
    assert sorted(predicted.tolist()) == sorted(
        label for sample in samples for label in sample["labels"][1:] if label != IGNORED_LABEL
    )


@settings(deadline=None)
@given(lengths_of_examples, st.integers(1, 9), st.integers(1, 12))
def test_all_batches_of_a_training_fit_one_shape(lengths: list[int], batch_size: int, batch_count: int) -> None:
    samples = [make_sample(length, 100 * (index + 1)) for index, length in enumerate(lengths)]
    targets = [sum(label != IGNORED_LABEL for label in sample["labels"][1:]) for sample in samples]
    order = BatchOrder(lengths, targets, batch_size=batch_size, batch_count=batch_count, seed=1, groups_by_length=False)
    shape = Shape.of(order.largest, order.longest_example)
    collate = PackingCollator(PAD, AXES, shape=shape, marks_pieces=True)
    for indices in order:
        batch: dict[str, Any] = collate([samples[index] for index in indices])
        total = sum(lengths[index] for index in indices)
        assert batch["input_ids"].shape == (1, shape.token_count)
        assert set(batch["input_ids"][0, total:].tolist()) <= {PAD}
        assert batch["target_positions"].shape == (shape.target_count,)
        starts = batch["cu_seq_lens_q"].tolist()
        assert len(starts) == shape.piece_count + 1
        assert starts[: len(indices) + 1] == [0, *itertools.accumulate(lengths[index] for index in indices)]
        assert starts[-1] == shape.token_count
        sizes = [end - begin for begin, end in itertools.pairwise(starts)]
        assert 0 <= min(sizes) <= max(sizes) <= batch["max_length_q"] == order.longest_example
        # Positions start at 0 exactly where a piece starts.
        assert (batch["position_ids"][0] == 0).nonzero().flatten().tolist() == [
            begin for begin, size in zip(starts, sizes, strict=False) if size
        ]
        shifted = torch.nn.functional.pad(batch["labels"][:, 1:], (0, 1), value=IGNORED_LABEL).flatten()
        assert (shifted[batch["target_positions"]] != IGNORED_LABEL).sum() == (shifted != IGNORED_LABEL).sum()


@settings(deadline=None)
@given(lengths_of_examples, st.integers(1, 9), st.integers(1, 3))
def test_even_batches_take_each_example_once_an_epoch(lengths: list[int], batch_size: int, epoch_count: int) -> None:
    per_epoch = -(-len(lengths) // batch_size)
    order = BatchOrder(
        lengths,
        lengths,
        batch_size=batch_size,
        batch_count=per_epoch * epoch_count,
        seed=3,
        groups_by_length=False,
        evens_batches=True,
    )
    batches = list(order)
    assert list(order) == batches
    for epoch in range(epoch_count):
        taken = [index for batch in batches[epoch * per_epoch : (epoch + 1) * per_epoch] for index in batch]
        assert sorted(taken) == list(range(len(lengths)))


def test_even_batches_have_about_as_many_tokens_each_and_differ_from_epoch_to_epoch() -> None:
    # Those of the sample's chats.
    lengths = [tokens for tokens, _ in json.loads(LENGTHS_FILE.read_text())][:324]

    def make(*, evens: bool) -> BatchOrder:
        return BatchOrder(
            lengths, lengths, batch_size=12, batch_count=54, seed=1, groups_by_length=False, evens_batches=evens
        )

    mean = sum(lengths) / 27
    assert make(evens=True).largest.token_count < 1.05 * mean < make(evens=False).largest.token_count
    batches = [frozenset(batch) for batch in make(evens=True)]
    assert len(set(batches)) == 54
