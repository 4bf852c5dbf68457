"""Whether results depend on how many threads torch is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["assert_threads_change_no_bit"]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def assert_threads_change_no_bit(run: Callable[[], Sequence[Tensor | None]]) -> None:
    """Assert that ``run`` gives the same tensors, bit by bit, on one, two and three threads.

    What is missing (None) must be missing each time.
    """
    found = []
    for count in (1, 2, 3):
        with _threads(count):
            found.append(run())
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert (a is None and b is None) or (
                a is not None and b is not None and torch.equal(a, b)
            )
