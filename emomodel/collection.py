"""Garbage collection, switched off where many objects are made that all stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Switch garbage collection off. It would look through the new objects again and again, and free none of them."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
