"""A depthwise ``torch.nn.Conv2d`` that runs on the kernel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .ops import depthwise_conv2d
from .spec import Filter


class DepthwiseConv2d(nn.Conv2d):
    """``nn.Conv2d(C, C, k, stride, padding=d (k - 1) / 2, dilation=d, groups=C)``.

    Parameters, initial values and ``state_dict`` are those of ``nn.Conv2d``.

    Args:
        channels: number of channels C, in and out.
        kernel_size: odd side k of the filters.
        stride: step in both directions.
        dilation: distance of the taps in both directions.
        bias: whether a constant per channel is added.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = False,
    ) -> None:
        padding = Filter(kernel_size, stride, dilation).padding
        super().__init__(channels, channels, kernel_size, stride, padding, dilation, channels, bias)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve ``[N, C, H, W]``; what is exported is the plain convolution."""
        if torch.compiler.is_compiling() or input.dim() != 4:
            return super().forward(input)
        y = depthwise_conv2d(input, self.weight, stride=self.stride[0], dilation=self.dilation[0])
        return y if self.bias is None else y + self.bias[:, None, None]


def _replaceable(conv: nn.Module) -> bool:
    if type(conv) is not nn.Conv2d or conv.padding_mode != "zeros":
        return False
    kernel, stride, dilation = conv.kernel_size, conv.stride, conv.dilation
    if len({*kernel}) > 1 or len({*stride}) > 1 or len({*dilation}) > 1:
        return False
    f = Filter(kernel[0], stride[0], dilation[0])
    depthwise = conv.groups == conv.in_channels == conv.out_channels
    return depthwise and f.supported and conv.padding == (f.padding, f.padding)


def accelerate(module: nn.Module) -> int:
    """Let all depthwise convolutions inside ``module`` run on the kernel, in place.

    Parameters are neither copied nor renamed: optimizers and ``state_dict`` do not notice.

    Returns:
        How many convolutions were changed.
    """
    found = [m for m in module.modules() if _replaceable(m)]
    for conv in found:
        # The subclass adds behavior and no state, so the object itself can change its class.
        conv.__class__ = DepthwiseConv2d
    return len(found)
