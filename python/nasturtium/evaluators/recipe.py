"""How a network is trained, as a value."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from nasturtium.errors import UserError

__all__ = ["Recipe"]

AugmentName: TypeAlias = Literal["none", "affine", "flip_crop", "crop", "noise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything about a training but the network, the data, the epochs and the seed.

    `lr` is the peak of a linear warm-up over the share `warmup` of all steps, followed by a cosine
    down to zero. `weight_decay` is decoupled and spares biases and normalizations. `ema` is the
    decay of an exponential moving average of the weights (0: none). `mixup` is the parameter of
    the Beta distribution (0: none). `grad_clip` bounds the norm of the gradient (0: none).
    """

    optimizer: Literal["sgd", "adamw"] = "adamw"
    lr: float = 0.01
    weight_decay: float = 0.01
    momentum: float = 0.9
    beta2: float = 0.99
    batch_size: int = 64
    warmup: float = 0.2
    label_smoothing: float = 0.0
    augment: AugmentName = "none"
    cutout: float = 0.0
    mixup: float = 0.0
    ema: float = 0.0
    grad_clip: float = 0.0

    def __post_init__(self) -> None:
        if self.optimizer not in ("sgd", "adamw"):
            raise UserError(f'optimizer {self.optimizer!r} is unknown; use "sgd" or "adamw"')
        if self.augment not in ("none", "affine", "flip_crop", "crop", "noise"):
            raise UserError(
                f"augment {self.augment!r} is unknown; use none, affine, flip_crop, crop or noise"
            )
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise UserError(f"the lr (the learning rate) must be above 0, not {self.lr}")
        if self.batch_size < 2:
            raise UserError(f"batch_size must be at least 2, not {self.batch_size}")
        for name in ("warmup", "label_smoothing", "cutout", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        for name in ("weight_decay", "mixup", "grad_clip", "momentum", "beta2"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} must not be negative, not {getattr(self, name)}")

    @classmethod
    def default_for(cls, task: str, input_shape: Sequence[int], n: int) -> "Recipe":
        """The recipe for `task` (classification | regression) on `n` training samples.

        `input_shape` is `(channels, height, width)` or `(features,)`.
        """
        smoothing = 0.1 if task == "classification" else 0.0
        if len(input_shape) == 3:
            augment: AugmentName = "affine" if input_shape[0] == 1 else "flip_crop"
            return cls(
                batch_size=_batch(n, 64 if n < 5000 else 128),
                label_smoothing=smoothing,
                augment=augment,
            )
        return cls(
            lr=0.005,
            weight_decay=0.02,
            batch_size=_batch(n, 128),
            label_smoothing=smoothing / 2,
            grad_clip=1.0,
        )


def _batch(n: int, most: int) -> int:
    """At least some 16 steps an epoch on small data, else `most`."""
    wanted = max(8, n // 16)
    return min(most, 1 << (wanted.bit_length() - 1))
