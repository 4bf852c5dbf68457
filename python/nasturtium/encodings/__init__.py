"""Codes as arrays for models: one-hot and categorical, both with inverses."""

from nasturtium.encodings.slots import (
    categorical,
    decode_categorical,
    decode_one_hot,
    one_hot,
    one_hot_width,
)

__all__ = ["categorical", "decode_categorical", "decode_one_hot", "one_hot", "one_hot_width"]
