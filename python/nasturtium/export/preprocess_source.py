"""The first and the last module of an exported model, as source; see `networks.preprocess`."""

from __future__ import annotations

from nasturtium.data import ColumnStatistics, Statistics

__all__ = ["postprocess_class", "preprocess_class"]


def preprocess_class(statistics: Statistics) -> tuple[list[str], list[str]]:
    """The lines of `class Preprocess`, and the names of its buffers."""
    return _image(statistics) if statistics.kind == "image" else _table(statistics.columns)


def postprocess_class(statistics: Statistics) -> tuple[list[str], list[str]]:
    """The lines of `class Postprocess`, and the names of its buffers."""
    if statistics.task == "classification":
        return [], []
    mean, deviation = statistics.target_mean, statistics.target_deviation
    lines = [
        "class Postprocess(nn.Module):",
        '    """From the scale that the network learned on to the units of the target."""',
        "",
        "    mean: Tensor",
        "    deviation: Tensor",
        "",
        "    def __init__(self) -> None:",
        "        super().__init__()",
        f'        self.register_buffer("mean", torch.tensor([{mean!r}]))',
        f'        self.register_buffer("deviation", torch.tensor([{deviation!r}]))',
        "",
        "    def forward(self, y: Tensor) -> Tensor:",
        "        return y * self.deviation + self.mean",
    ]
    return lines, ["mean", "deviation"]


def _image(statistics: Statistics) -> tuple[list[str], list[str]]:
    lines = [
        "class Preprocess(nn.Module):",
        '    """Raw pixels to numbers around 0, channel by channel."""',
        "",
        "    mean: Tensor",
        "    deviation: Tensor",
        "",
        "    def __init__(self) -> None:",
        "        super().__init__()",
    ]
    for name, values in (("mean", statistics.means), ("deviation", statistics.deviations)):
        numbers = ", ".join(repr(value) for value in values)
        shape = f"(1, {len(values)}, 1, 1)"
        lines += [
            f"        {name} = torch.tensor([{numbers}])",
            f'        self.register_buffer("{name}", {name}.reshape{shape})',
        ]
    lines += [
        "",
        "    def forward(self, x: Tensor) -> Tensor:",
        "        return (x - self.mean) / self.deviation",
    ]
    return lines, ["mean", "deviation"]


def _table(columns: tuple[ColumnStatistics, ...]) -> tuple[list[str], list[str]]:
    numbers = [c for c in columns if c.kind != "category"]
    categories = [c for c in columns if c.kind == "category"]
    buffers, forward, parts = [], [], []
    if numbers:
        buffers += _number_buffers(numbers)
        forward += _number_lines(numbers)
        parts.append("scaled")
    if any(c.missing for c in numbers):
        buffers.append(("gap", sum(bool(c.missing) for c in numbers), "int64"))
        forward.append("gaps = torch.index_select(missing.to(x.dtype), 1, self.gap)")
        parts.append("gaps")
    slots = sum(c.outputs for c in categories)
    if slots:
        codes = sum(2 + len(c.counts) for c in categories)
        sizes = {"category": len(categories), "start": len(categories), "size": len(categories)}
        sizes |= {"slot_of": codes, "slot": slots, "slot_column": slots}
        buffers += [(name, length, "int64") for name, length in sizes.items()]
        forward += _CATEGORY_LINES
        parts.append("one_hot")
    lines = [
        "class Preprocess(nn.Module):",
        '    """Raw rows to numbers without gaps: imputation, scaling, one-hot codes.',
        "",
        "    The values of the buffers come with the weights.",
        '    """',
        "",
        *(f"    {name}: Tensor" for name, _, _ in buffers),
        "",
        "    def __init__(self) -> None:",
        "        super().__init__()",
        *(_register(*buffer) for buffer in buffers),
        "",
        "    def forward(self, x: Tensor) -> Tensor:",
        *(f"        {line}" for line in forward),
        f"        return torch.cat(({', '.join(parts)}), dim=1)"
        if len(parts) > 1
        else f"        return {parts[0]}",
    ]
    return lines, [name for name, _, _ in buffers]


def _register(name: str, length: int, dtype: str) -> str:
    kind = "" if dtype == "float32" else f", dtype=torch.{dtype}"
    return f'        self.register_buffer("{name}", torch.zeros({length}{kind}))'


def _number_buffers(numbers: list[ColumnStatistics]) -> list[tuple[str, int, str]]:
    buffers = [("number", len(numbers), "int64")]
    buffers += [(name, len(numbers), "float32") for name in ("fill", "center", "scale")]
    if any(c.compress for c in numbers):
        buffers.append(("compress", len(numbers), "bool"))
    return buffers + [(name, len(numbers), "float32") for name in ("mean", "deviation")]


def _number_lines(numbers: list[ColumnStatistics]) -> list[str]:
    compress = ["scaled = torch.where(self.compress, torch.asinh(scaled), scaled)"]
    return [
        "raw = torch.index_select(x, 1, self.number)",
        "missing = torch.isnan(raw)",
        "scaled = (torch.where(missing, self.fill, raw) - self.center) / self.scale",
        *(compress if any(c.compress for c in numbers) else []),
        "scaled = torch.clamp((scaled - self.mean) / self.deviation, -10.0, 10.0)",
    ]


_CATEGORY_LINES = [
    "raw = torch.index_select(x, 1, self.category)",
    "missing = torch.isnan(raw)",
    "code = torch.where(missing, torch.zeros_like(raw), raw).to(torch.int64)",
    "known = (code >= 0) & (code < self.size)",
    "# The entries of a column: unknown category, gap, and one for each code.",
    "entry = torch.where(missing, 1, torch.where(known, code + 2, 0)) + self.start",
    "slot = torch.index_select(self.slot_of[entry], 1, self.slot_column)",
    "one_hot = (slot == self.slot).to(x.dtype)",
]
