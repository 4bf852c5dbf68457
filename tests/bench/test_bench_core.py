"""The benchmark command: what a row says, what the list holds, and one suite for real."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from nasturtium.bench import Row, as_markdown, best, run
from nasturtium.bench.rows import grown, measured
from nasturtium.cli.app import run as command


def test_a_row_knows_its_ratio_and_whether_its_bar_is_met():
    fast = Row("a", 3e6, "/s", {"one": 1e6, "two": 2e6}, bar=2e6)
    assert fast.ratio == 1.5 and fast.met is True
    assert Row("a", 1e6, "/s", bar=2e6).met is False
    time = Row("b", 2.0, "ms", {"one": 3.0, "two": 6.0}, bar=5.0)
    assert time.ratio == 1.5 and time.met is True
    assert Row("b", 7.0, "ms", bar=5.0).met is False
    assert Row("c", 2.0, "ms", {"one": 3.0}, bar=2.0, relative=True).met is False
    assert Row("c", 2.0, "ms", {}, bar=2.0, relative=True).met is None
    assert Row("d", 1.9, "x", bar=1.8).met is True
    assert Row("e", 30.0, "bytes/key").met is None and Row("e", 30.0, "bytes/key").ratio is None


def test_growth_is_the_slope_over_the_sizes(monkeypatch):
    times = iter([1.0, 4.0, 16.0, 32.0])
    monkeypatch.setattr("nasturtium.bench.rows.best", lambda work, runs: (work(), next(times))[1])
    seen = []
    row = grown("a", (10, 20, 40), lambda n: lambda: seen.append(n), peers={
        "p": lambda n: lambda: seen.append(-n), "absent": None}, bar=2.0)  # fmt: skip
    assert seen == [10, 20, 40, -40]
    assert row.exponent == pytest.approx(2.0) and row.ours == 40 / 16.0
    assert row.peers == {"p": 40 / 32.0} and row.ratio == 2.0 and row.met is True
    assert row.as_dict()["sizes"][1] == {"items": 20, "seconds": 4.0}
    times = iter([0.5])
    one = measured("b", 5, lambda: None, unit="ms")
    assert one.ours == 500.0 and one.exponent is None


def test_the_clock_takes_the_best():
    ticks = iter([0.0, 5.0, 10.0, 12.0, 20.0, 27.0])
    assert best(lambda: None, 3, lambda: next(ticks)) == 2.0


@pytest.fixture
def fake(monkeypatch):
    """A suite of three rows in place of the real ones."""
    suite = ModuleType("nasturtium.bench.fake")
    suite.measure = lambda runs: [
        Row("quick|ly", 2e7, "/s", {"peer": 1e5}, bar=1e7, sizes=((1, 2.0),), exponent=1.01),
        Row("slow", 9.0, "ms", bar=5.0),
        Row("alone", 1.5, "x", bar=1.0, relative=True),
    ]
    monkeypatch.setitem(sys.modules, "nasturtium.bench.fake", suite)
    monkeypatch.setattr(run, "SUITES", ("fake",))
    monkeypatch.setattr("nasturtium.cli.bench.SUITES", ("fake",))


def test_the_command_writes_the_list(fake, tmp_path, capsys):
    file = tmp_path / "core.json"
    assert command(["bench", "core", "--quick", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())
    wanted = {"operation", "ours", "unit", "peers", "ratio", "bar", "met", "yardstick_ms"}
    assert all(wanted <= set(row) and row["yardstick_ms"] > 0 for row in rows)
    assert [row["met"] for row in rows] == [True, False, None] and rows[0]["ratio"] == 200
    shown = capsys.readouterr().out
    assert "3 operations, 1 below their bar" in shown and "missed" in shown
    table = as_markdown(rows).splitlines()
    assert table[2] == (
        "| quick\\|ly | 20,000,000/s | peer 100,000/s | 200 | ≥ 10,000,000/s, met | n^1.01 |"
    )
    assert table[3] == "| slow | 9 ms |  |  | ≤ 5 ms, missed |  |"


def test_wrong_arguments_are_one_line(fake, tmp_path, capsys):
    assert command(["bench", "core", "--suite", "fakes"]) == 2
    assert 'did you mean "fake"' in capsys.readouterr().err
    assert command(["bench", "core", "--json", str(tmp_path / "none" / "x.json")]) == 2
    assert "no folder" in capsys.readouterr().err


def test_the_simulation_suite_runs(capsys, tmp_path):
    file = tmp_path / "some.json"
    assert command(["bench", "core", "--suite", "simulation", "--quick", "--json", str(file)]) == 0
    rows = {row["operation"]: row for row in json.loads(file.read_text())}
    evolved = rows["regularized evolution, P = 100, S = 10, with its history"]
    assert evolved["peers"]["plain Python"] > 0 and evolved["ratio"] > 10
    assert 0.7 < evolved["exponent"] < 1.3


def test_the_calls_suite_runs(tmp_path):
    file = tmp_path / "some.json"
    assert command(["bench", "core", "--suite", "calls", "--quick", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())
    over = [row["ours"] for row in rows if "one" in row["operation"]]
    assert len(over) == 5 and all(0 < cost < 100 for cost in over)
    share = [row["ours"] for row in rows if "10,000 rows" in row["operation"]]
    assert len(share) == 4 and all(0.2 < part < 5 for part in share)
