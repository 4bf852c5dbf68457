"""Networks of fully connected blocks for tables."""

from __future__ import annotations

from nasturtium.registry import MethodInfo, register_space
from nasturtium.spaces.declare import Choice
from nasturtium.spaces.space import Space

WITH_BRANCH = ("residual", "prenorm")


@register_space(
    MethodInfo(
        id="residual-mlp-space",
        area="spaces",
        kind="space",
        family="macro",
        title="Residual MLP for tables",
        year=2021,
        reference="Gorishniy et al., Revisiting deep learning models for tabular data, NeurIPS "
        "2021; On embeddings for numerical features, NeurIPS 2022",
        differs="plain, post-norm and pre-norm blocks, input gates and embeddings in one space",
        proof="tests/networks/test_residual_mlp.py::test_cost_equals_the_counted_one",
        aliases=("residual_mlp",),
    )
)
def residual_mlp() -> Space:
    """Fully connected networks for rows of numbers.

    `inputs`: the row as it is; gated, `x * sigmoid(A x + b)`; or every feature embedded by its own
    weights, `relu(v x + c)` or `sin, cos` of it. `block`: plain `drop(act(norm(A h)))`; residual
    `act(norm(h + B drop(act(norm(A h)))))`; or prenorm `h + B drop(act(A norm(h)))`, where the
    branch is `expansion` times as wide as the trunk. `wide` adds a linear map from the row to the
    output.

    References: Gorishniy et al. 2021 and 2022; Cheng et al., Wide & deep learning, 2016.
    """
    return Space(
        "residual_mlp",
        [
            Choice("inputs", ("plain", "gated", "relu", "periodic")),
            Choice("embedding", (4, 8, 16), when={"inputs": ("relu", "periodic")}),
            Choice("block", ("plain", "residual", "prenorm")),
            Choice("depth", (1, 2, 3, 4, 6)),
            Choice("width", (16, 24, 32, 48, 64, 96, 128, 192, 256)),
            Choice("expansion", (0.5, 1.0, 2.0), when={"block": WITH_BRANCH}),
            Choice("activation", ("relu", "gelu", "silu", "tanh")),
            Choice("normalization", ("none", "batch", "layer")),
            Choice("dropout", (0.0, 0.1, 0.25, 0.5)),
            Choice("wide", (False, True)),
        ],
    )
