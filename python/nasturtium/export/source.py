"""A found network as `model.py`: plain PyTorch that a reader can follow and that needs no library.

The file defines `Preprocess`, `Net` and `Model`, which takes raw inputs, and `load`, which reads
`weights.safetensors`. This module writes text only and does not import torch.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping
from typing import TypeVar

from nasturtium.data import Schema, Statistics
from nasturtium.export.format import WIDTH, docstring_text, list_constant
from nasturtium.export.net_source import NetSource, net_source
from nasturtium.export.preprocess_source import postprocess_class, preprocess_class
from nasturtium.networks import Net, cost

__all__ = ["ModelSource", "model_source"]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class ModelSource:
    """`text` is the content of model.py."""

    text: str
    _net: NetSource
    _buffers: Mapping[str, tuple[str, ...]]

    def state(self, trained: Mapping[str, T]) -> dict[str, T]:
        """The state of the file's `Model` from that of `files.trained_model`, value by value.

        Children that `Net` groups into blocks have other paths there; buffers that this model
        does not use are left out.
        """
        renamed = {}
        for name, value in trained.items():
            part, _, rest = name.partition(".")
            if part == "net":
                renamed[f"net.{self._net.state_name(rest)}"] = value
            elif (buffer := rest.removeprefix("step.")) in self._buffers[part]:
                renamed[f"{part}.{buffer}"] = value
        return renamed


def model_source(
    net: Net, statistics: Statistics, schema: Schema, *, architecture: str | None = None
) -> ModelSource:
    """The source of `Preprocess -> net -> Postprocess`.

    `architecture` is the text form that the docstring names; the net's own name without it. Names
    out of the user's data are written as literals, whatever characters they hold.
    """
    written = net_source(net)
    before, before_buffers = preprocess_class(statistics)
    after, after_buffers = postprocess_class(statistics)
    lines = [
        *_docstring(net, schema, architecture or net.name),
        "",
        "from __future__ import annotations",
        "",
        "from pathlib import Path",
        "",
        "import torch",
        *_functional(written.lines),
        "from torch import Tensor, nn",
        "",
        *_constants(schema),
        'WEIGHTS = Path(__file__).with_name("weights.safetensors")',
        "",
        "",
        *before,
        "",
        "",
        *written.lines,
        "",
        "",
        *([*after, "", ""] if after else []),
        *_model_class(schema, bool(after)),
        "",
        "",
        *_LOAD,
    ]
    buffers = {"preprocess": tuple(before_buffers), "postprocess": tuple(after_buffers)}
    return ModelSource("\n".join(lines) + "\n", written, buffers)


def _functional(lines: list[str]) -> list[str]:
    return ["import torch.nn.functional as F"] if any("F." in line for line in lines) else []


def _docstring(net: Net, schema: Schema, architecture: str) -> list[str]:
    spent = cost(net)
    target = docstring_text(schema.target)
    if schema.task == "classification":
        what, gives = f"Classifier of {len(schema.classes)} classes", "logits [N, classes]"
    else:
        what, gives = f"Regression of {target}", f"[N, 1] in the units of {target}"
    text = [
        f"{what}: a network found by architecture search.",
        "",
        *_architecture(docstring_text(architecture)),
        f"Parameters: {spent.params:,}. Multiply-accumulates for one input: {spent.macs:,}.",
        *_wrapped(f"Input: {_input_text(schema)}"),
        *_wrapped(f"Output: {gives}."),
        "",
        "    from model import load",
        "    model = load()  # reads weights.safetensors beside this file",
        "    output = model(x)",
    ]
    if schema.task == "classification":
        text.append("    names = [CLASSES[i] for i in output.argmax(1)]")
        text[-4] = "    from model import CLASSES, load"
    # The first line of a docstring stands beside its quotes.
    return ['"""' + text[0], *text[1:], '"""']


def _architecture(text: str) -> list[str]:
    """The text form, which has no blanks, on lines that end at its commas."""
    lines = ["Architecture: "]
    for piece in text.replace(",", ",\n").split("\n"):
        if len(lines[-1]) + len(piece) > WIDTH and lines[-1].strip():
            lines.append("    ")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="    ", break_on_hyphens=False)


def _input_text(schema: Schema) -> str:
    if schema.image is not None:
        image = schema.image
        size = f"[N, {image.channels}, {image.height}, {image.width}]"
        return f"float32 {size}, raw pixel values from {image.low:g} to {image.high:g}."
    return (
        f"float32 [N, {len(schema.columns)}], one raw row of COLUMNS each; a category as its "
        "place in the list of preprocess.json (-1 if it is not there), NaN where missing."
    )


def _constants(schema: Schema) -> list[str]:
    lines = []
    if schema.kind == "table":
        lines += list_constant("COLUMNS", (column.name for column in schema.columns))
    if schema.task == "classification":
        lines += list_constant("CLASSES", schema.classes)
    return lines


def _model_class(schema: Schema, postprocess: bool) -> list[str]:
    gives = "logits" if schema.task == "classification" else "the target in its own units"
    return [
        "class Model(nn.Module):",
        f'    """Raw inputs to {gives}."""',
        "",
        "    def __init__(self) -> None:",
        "        super().__init__()",
        "        self.preprocess = Preprocess()",
        "        self.net = Net()",
        *(["        self.postprocess = Postprocess()"] if postprocess else []),
        "",
        "    def forward(self, x: Tensor) -> Tensor:",
        "        return self.postprocess(self.net(self.preprocess(x)))"
        if postprocess
        else "        return self.net(self.preprocess(x))",
    ]


_LOAD = '''\
def load(weights: str | Path = WEIGHTS) -> Model:
    """The trained model, ready to predict; `weights` is a safetensors file."""
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError("to read the weights: pip install safetensors") from error
    model = Model()
    model.load_state_dict(load_file(weights))
    return model.eval()'''.splitlines()
