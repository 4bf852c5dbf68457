"""What a network costs, computed from its layers alone."""

from dataclasses import dataclass

from nasturtium.networks.ir import Net

__all__ = ["Cost", "cost"]


@dataclass(frozen=True, slots=True)
class Cost:
    """`params`: trainable numbers; `macs`: multiply-accumulates for one sample."""

    params: int
    macs: int


def cost(net: Net) -> Cost:
    """Parameters and multiply-accumulates of `net`, equal to those counted on its module."""
    params = macs = 0
    for layer, op, inputs, _ in net.walk():
        params += op.params(layer.args, inputs)
        macs += op.macs(layer.args, inputs)
    return Cost(params, macs)
