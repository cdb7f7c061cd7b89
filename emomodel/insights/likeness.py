"""Finds duplicates of earlier examples, and near-duplicates by MinHash, in bounded memory.

Near-duplicates share most of their shingles, which are sequences of three words. A signature of 32 numbers represents
the shingles: they are assigned to 32 bins by their hash, and each bin keeps its smallest hash, so that two signatures
agree in about the share of shingles that both examples have (one permutation hashing; Li, Owen and Zhang, 2012; empty
bins borrow from the next one, Shrivastava and Li, 2014). Only examples that agree in a whole band of four are compared.
"""

import re
from array import array
from collections.abc import Iterator
from hashlib import blake2b

from emomodel.data.examples import Example
from emomodel.insights.token_report import Likeness, LinePair

# The share of a signature that has to agree in near-duplicates.
NEAR_SHARE = 0.8
LISTED_PAIRS = 10

_SHINGLE_WORDS = 3
# With fewer shingles, most short examples would count as alike, such as "Hi!" - "Hello."
_MIN_SHINGLES = 6
_BINS = 32
_BAND_BINS = 4
_NEEDED = round(NEAR_SHARE * _BINS)
_HASH_BITS = 32
_EMPTY = (1 << _HASH_BITS) - 1
# 2**32 divided by the golden ratio, and odd: its multiples are far apart.
_DISTANCE_FACTOR = 0x9E3779B1

# How many of the latest examples are remembered, in 128 bytes each. Near-duplicates further apart are not found.
_REMEMBERED = 1 << 17
_BAND_SLOTS = 1 << 18
# Fingerprints of whole examples, one per slot; a later one replaces an earlier one.
_WHOLE_SLOTS = 1 << 19

# In scripts without spaces between words, each letter counts as a word.
_WORD = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")


class LikenessFinder:
    """Finds duplicates and near-duplicates among the examples given to `add`."""

    def __init__(self) -> None:
        self._duplicates = _Pairs()
        self._near = _Pairs()
        self._whole = array("Q", bytes(8 * _WHOLE_SLOTS))
        self._whole_lines = array("I", bytes(4 * _WHOLE_SLOTS))
        self._signatures = array("I", bytes(4 * _BINS * _REMEMBERED))
        self._lines = array("I", bytes(4 * _REMEMBERED))
        # By band and by hash of the band: the number, counted from 1, of the last example that has it.
        self._bands = [array("I", bytes(4 * _BAND_SLOTS)) for _ in range(_BINS // _BAND_BINS)]
        self._count = 0

    def add(self, example: Example) -> None:
        if self._is_duplicate(example):
            return
        shingles = list(_list_shingles(example))
        if len(shingles) < _MIN_SHINGLES:
            return
        signature = make_signature(shingles)
        like_line = self._find_near(signature)
        if like_line is not None:
            self._near.add(example.line, like_line)
        self._remember(signature, example.line)

    @property
    def duplicates(self) -> Likeness:
        return self._duplicates.as_likeness()

    @property
    def near_duplicates(self) -> Likeness:
        return self._near.as_likeness()

    def _is_duplicate(self, example: Example) -> bool:
        digest = blake2b(repr(example.turns).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        fingerprint = int.from_bytes(digest, "big")
        slot = fingerprint % _WHOLE_SLOTS
        if self._whole[slot] == fingerprint:
            self._duplicates.add(example.line, self._whole_lines[slot])
            return True
        self._whole[slot], self._whole_lines[slot] = fingerprint, example.line
        return False

    def _find_near(self, signature: list[int]) -> int | None:
        """The line of an earlier example with nearly the same signature, or None."""
        seen = set()
        for band, slots in enumerate(self._bands):
            number = slots[_find_slot(signature, band)]
            # The place of a forgotten example belongs to a later one by now.
            if not number or number in seen or number <= self._count - _REMEMBERED:
                continue
            seen.add(number)
            place = (number - 1) % _REMEMBERED
            other = self._signatures[place * _BINS : (place + 1) * _BINS]
            if sum(map(int.__eq__, signature, other)) >= _NEEDED:
                return self._lines[place]
        return None

    def _remember(self, signature: list[int], line: int) -> None:
        place = self._count % _REMEMBERED
        self._signatures[place * _BINS : (place + 1) * _BINS] = array("I", signature)
        self._lines[place] = line
        self._count += 1
        for band, slots in enumerate(self._bands):
            slots[_find_slot(signature, band)] = self._count


def make_signature(shingles: list[str]) -> list[int]:
    """The signature of at least one shingle: 32 numbers of 32 bits."""
    bins = [_EMPTY] * _BINS
    for shingle in shingles:
        # Python's own hash differs between processes.
        digest = int.from_bytes(blake2b(shingle.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        index, value = digest % _BINS, digest >> _HASH_BITS
        if value < bins[index]:
            bins[index] = value
    filled = list(bins)
    for index, value in enumerate(bins):
        distance = 0
        while value == _EMPTY:
            distance += 1
            value = bins[(index + distance) % _BINS]
        # The distance is added, so that borrowing bins agree only if both examples borrow in the same way.
        filled[index] = (value + distance * _DISTANCE_FACTOR) & _EMPTY if distance else value
    return filled


def _list_shingles(example: Example) -> Iterator[str]:
    words: list[str] = []
    for turn in example.turns:
        words += _WORD.findall(turn.content.lower())
    for index in range(len(words) - _SHINGLE_WORDS + 1):
        yield " ".join(words[index : index + _SHINGLE_WORDS])


def _find_slot(signature: list[int], band: int) -> int:
    return hash(tuple(signature[band * _BAND_BINS : (band + 1) * _BAND_BINS])) % _BAND_SLOTS


class _Pairs:
    """Counts examples that are like an earlier one, and keeps the lines of the first few."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[LinePair] = []

    def add(self, line: int, like_line: int) -> None:
        self._count += 1
        if len(self._first) < LISTED_PAIRS:
            self._first.append(LinePair(line=line, like_line=like_line))

    def as_likeness(self) -> Likeness:
        return Likeness(count=self._count, pairs=tuple(self._first))
