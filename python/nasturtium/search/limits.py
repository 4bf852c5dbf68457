"""The user's limits on parameters, operations and latency."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nasturtium.search.base import Allowed, Codes, Mask

__all__ = ["Limit", "Limits", "explain"]

Measure = Callable[[Codes], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Limit:
    """`measure(codes)` float[n] must not exceed `maximum`.

    `what` and `option` are the words of the message: "parameters", "--max-params".
    """

    measure: Measure
    maximum: float
    what: str
    option: str


@dataclass(frozen=True)
class Limits:
    """All of several limits; called with uint8[n, d] it gives bool[n]."""

    limits: tuple[Limit, ...]

    def __call__(self, codes: Codes) -> Mask:
        mask = np.ones(len(codes), dtype=np.bool_)
        for limit in self.limits:
            left = np.flatnonzero(mask)
            if left.size:
                mask[left] = limit.measure(codes[left]) <= limit.maximum
        return mask

    def explain(self, codes: Codes) -> str:
        """Why none of these codes is allowed, naming the limit to raise."""
        for limit in self.limits:
            smallest = float(np.min(limit.measure(codes)))
            if smallest > limit.maximum:
                return (
                    f"no architecture within the limits: the smallest of {len(codes)} sampled "
                    f"has {_number(smallest)} {limit.what}; raise {limit.option}"
                )
        options: Mapping[str, None] = dict.fromkeys(limit.option for limit in self.limits)
        return (
            f"no architecture within the limits: none of {len(codes)} sampled meets all of them; "
            f"raise {' or '.join(options)}"
        )


def explain(allowed: Allowed, codes: Codes) -> str:
    """The message for limits that allow none of `codes`."""
    if isinstance(allowed, Limits):
        return allowed.explain(codes)
    return f"no architecture within the limits among {len(codes)} sampled; relax the limits"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"
