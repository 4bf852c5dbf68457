"""`nasturtium bench kernels`: a small grid for real, and what stops it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from nasturtium.bench import kernels
from nasturtium.bench.subjects import Case, Subject
from nasturtium.cli.app import run as command
from nasturtium.errors import NasturtiumError
from nasturtium.kernels import CellSearchNetwork, SearchNetwork, dispatch

pytest.importorskip("nasturtium.kernels._cpu", reason="the kernels are not compiled")


@pytest.fixture
def small(monkeypatch):
    """A grid that takes no time; of the machine's roofline only the shape."""
    edges = [replace(e, sizes=((4, 8, 6), (2, 8, 5))) for e in kernels.EDGES]
    monkeypatch.setattr(kernels, "EDGES", edges)
    networks = [replace(n, sizes=((2, 4, 8),)) for n in kernels.NETWORKS]
    monkeypatch.setattr(kernels, "NETWORKS", networks)
    monkeypatch.setattr(kernels, "roofline", lambda runs: [])


def test_the_command_writes_the_list(small, tmp_path, capsys):
    file = tmp_path / "kernels.json"
    command_line = ["bench", "kernels", "--quick", "--networks", "--json", str(file)]
    assert command(command_line) == 0
    rows = {row["operation"]: row for row in json.loads(file.read_text())}
    threads = torch.get_num_threads()
    step = rows[f"mixed operation 4x8x6, {threads} threads: step"]
    assert set(step["peers"]) == {"eager", "channels-last"} and step["ours"] > 0
    kept = rows[f"mixed operation 4x8x6, {threads} threads: kept, of eager's"]
    assert kept["met"] is True and 0.15 < kept["ours"] <= 0.21
    assert f"{len(rows)} operations" in capsys.readouterr().out
    assert len(rows) == 2 * 9 + 10 * 7 + 2 * 6
    half = rows[f"mixed operation kept in bfloat16 4x8x6, {threads} threads: kept, of eager's"]
    assert half["met"] is True and half["ours"] <= 0.11
    network = rows[f"DARTS search network 2x4x8, {threads} threads: step"]
    assert set(network["peers"]) == {"eager", "channels-last"} and network["ours"] > 0


def test_without_a_compiler_there_is_one_line(small, monkeypatch, capsys):
    def none(*_: object, **__: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", none)
    assert command(["bench", "kernels", "--quick", "--compile"]) == 2
    assert "no compiler" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # torch's own, of a guard
def test_every_cell_is_compiled_by_itself(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    cells = Subject("cells", lambda c: CellSearchNetwork(c, 10, cells=1), (6, 5), network=True)
    few = {"layers": 1, "candidates": ("none", "skip_connect")}
    darts = Subject("darts", lambda c: SearchNetwork(c, 10, **few), (2, 14, 2), network=True)
    for subject, graphs in ((cells, 3), (darts, 1)):
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        found = [
            Case.make(subject, (2, 4, 8), torch.contiguous_format, kind).step()
            for kind in ("plain", "cells compiled")
        ]
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_the_drawing_has_a_bar_for_every_form(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text(
        "operation,ours,peers\n"
        "an edge: step,2,eager 10; channels-last 5\n"
        "an edge: forward,1,eager 4\n"
    )
    folder = Path(__file__).parents[2] / "bench" / "kernels"
    subprocess.run([sys.executable, folder / "plot.py", file], check=True, capture_output=True)
    bars = ElementTree.parse(file.with_suffix(".svg")).getroot().findall("{*}rect")
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert len(widths) == 3
    assert [width / widths[0] for width in widths] == pytest.approx([1, 5, 2.5])


def test_a_folder_that_is_not_there_is_one_line(small, tmp_path, capsys):
    assert command(["bench", "kernels", "--json", str(tmp_path / "none" / "x.json")]) == 2
    assert "no folder" in capsys.readouterr().err


def test_nothing_is_timed_where_the_kernel_does_not_run(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    with pytest.raises(NasturtiumError, match="did not run"):
        kernels.check(kernels.EDGES[0], (2, 8, 5))


def test_nothing_is_timed_where_a_result_is_wrong(monkeypatch):
    from nasturtium.kernels import _cpu

    plain = _cpu.mixed_backward

    def wrong(*addresses: object, **sizes: object) -> None:
        plain(*addresses, **{**sizes, "epsilon": 1e-2})

    monkeypatch.setattr(_cpu, "mixed_backward", wrong)
    with pytest.raises(NasturtiumError, match="is wrong"):
        kernels.check(kernels.EDGES[0], (2, 8, 5))


def test_times_are_taken_in_turns():
    seen: list[str] = []
    found = kernels.in_turns([lambda: seen.append("a"), lambda: seen.append("b")], 2)
    assert "".join(seen) == "abaabbaabb" and all(0 <= time < 100 for time in found)


def test_the_roofline_is_measured():
    copy, product = kernels.roofline(1)
    assert 1e8 < copy.ours < 1e12 and 1e9 < product.ours < 1e14
