"""The page as a whole: offline, escaped, complete, and quick to make."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nasturtium.report import ReportData, TrialRow, compose

Make = Callable[..., ReportData]

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "]]><!--",
    "a name far too long to be shown beside a matrix without being cut somewhere",
]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
VOID = {"meta", "input", "col", "br", "img", "link"}


class Reader(HTMLParser):
    """Collects tags, attributes, visible text and ids, and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, key, value in self.attributes if key == name]


def hostile(make: Make) -> ReportData:
    name = HOSTILE[0]
    data = make(5, names=HOSTILE, architecture=name, command=name, stopped_by=name, space=name)
    result = dict(data.result)
    result["data"] = dict(result["data"]) | {"name": name, "target": name, "notes": [name]}
    result["baselines"] = [dict(entry) | {"name": name, "note": name} for entry in data.baselines]
    result["environment"] = {name: name, "cpu": HOSTILE[1]}
    rows = tuple(replace(t, architecture=name, origin=name, status=name) for t in data.trials)
    return replace(data, result=result, trials=rows)


@pytest.mark.parametrize("trials", [0, 1, 3, 200])
def test_page_is_well_formed_and_needs_nothing_from_outside(
    make_classification: Make, trials: int
) -> None:
    text = compose(make_classification(trials))
    reader = Reader(text)
    assert reader.open == []
    assert text.lstrip().startswith("<!DOCTYPE html>")
    assert not {"link", "img", "iframe", "object", "base", "form"} & set(reader.tags)
    assert not reader.values("src")
    assert all(value.startswith("#") for value in reader.values("href"))
    addresses = set(re.findall(r"\w+://[^\s\"'<>)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in text and "url(" not in text
    ids = reader.values("id")
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in reader.values("href")} <= set(ids)


def test_hostile_names_are_shown_as_text(make_classification: Make) -> None:
    reader = Reader(compose(hostile(make_classification)))
    assert reader.open == []
    assert reader.tags.count("script") == 1
    assert "img" not in reader.tags
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    shown = "".join(reader.text)
    for name in HOSTILE:
        assert name in shown


def test_every_drawing_and_table_can_be_read_aloud(make_classification: Make) -> None:
    text = compose(make_classification(30))
    drawings = re.findall(r"<svg[^>]*>", text)
    assert all(('role="img"' in d and "aria-label=" in d) or "aria-hidden" in d for d in drawings)
    heads = re.findall(r"<th[ >][^>]*>?", text)
    assert heads and all('scope="' in head for head in heads)
    assert '<html lang="en">' in text


def test_all_trials_are_in_the_page_without_scripts(make_classification: Make) -> None:
    data = make_classification(150)
    text = compose(data)
    body = text[text.index('<table id="table">') :].partition("</table>")[0]
    assert body.count("<tr") - 1 == len(data.trials)
    assert "The first 60 of 200 trials are printed" in text


def test_what_a_run_did_not_do_is_said(make_classification: Make) -> None:
    data = make_classification(0, baselines=[], latency_ms={}, seconds={}, exports={})
    shown = "".join(
        Reader(compose(replace(data, predictions=None, network=None, files=frozenset()))).text
    )
    for words in (
        "no baseline has been run",
        "The predictions on the test part were not saved.",
        "The layers of the network were not saved.",
        "The record of the trials was not found.",
        "No trial has been recorded.",
        "The run recorded no times.",
        "No exported file was checked",
        "No files were exported.",
    ):
        assert words in shown


def test_an_empty_result_still_makes_a_page() -> None:
    shown = "".join(Reader(compose(ReportData({}))).text)
    assert "The run has no test result yet." in shown


def test_numbers_that_are_no_numbers_do_no_harm(make_classification: Make) -> None:
    nan = float("nan")
    row = TrialRow(
        number=0, architecture="a", status="ok", score=nan, params=nan, seconds=nan,
        curve=(nan, nan), fidelity={"epochs": 1},
    )  # fmt: skip
    data = replace(make_classification(0, test_accuracy=nan, params=nan), trials=(row,))
    assert "The run has no test result yet" in compose(data)


def test_a_regression_shows_residuals(make_regression: Make) -> None:
    text = compose(make_regression(3))
    for words in ("Predicted against true medv", "Histogram of the residuals", "test RMSE"):
        assert words in text
    assert "Confusion matrix" not in text and "McNemar" not in text


def test_500_trials_take_less_than_a_second_and_a_half(make_classification: Make) -> None:
    data = make_classification(500)
    compose(data)
    begun = time.process_time()
    text = compose(data)
    assert time.process_time() - begun < 1.5
    assert len(text) < 1_000_000


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_the_table_sorts_and_filters(make_classification: Make, tmp_path: Path) -> None:
    probe = """<script>
    const rows = () => [...document.querySelectorAll("#table tbody tr:not([hidden])")];
    const cells = (column) => rows().map((row) => row.cells[column].textContent);
    const heads = document.querySelectorAll("#table thead button");
    const seen = {};
    heads[0].click(); seen.numbers = cells(0);
    heads[5].click(); seen.params = cells(5);
    heads[5].click(); seen.ascending = cells(5);
    document.getElementById("status").value = "failed";
    document.getElementById("status").dispatchEvent(new Event("change"));
    seen.statuses = cells(8);
    document.title = JSON.stringify(seen);
    </script></body>"""
    data = make_classification(60)
    path = tmp_path / "page.html"
    path.write_text(compose(data).replace("</body>", probe), encoding="utf-8")
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={tmp_path}/profile", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    seen = json.loads(unescape(title[1]))
    numbers = [int(text) for text in seen["numbers"]]
    assert numbers == sorted(t.number for t in data.trials)
    expected = sorted((t.params or 0 for t in data.trials), reverse=True)
    assert [float(text.replace(",", "")) for text in seen["params"]] == expected
    assert seen["ascending"] == seen["params"][::-1]
    failed = sum(t.status == "failed" for t in data.trials)
    assert failed > 0 and seen["statuses"] == ["failed"] * failed


def test_the_finalists_are_named(make_classification: Make) -> None:
    data = make_classification(5)
    left = [
        {"trial": 3, "params": 9000, "validation_score": 0.99},
        {"trial": 1, "params": 8500, "validation_score": None},
    ]
    text = compose(replace(data, result=dict(data.result) | {"finalists": left}))
    assert "trial 3 with 9,000 parameters (0.9900), trial 1 with 8,500 parameters." in text
    begun = "one of the designs that the search began with"
    known = dict(data.result) | {"known_design": True}
    assert begun in compose(replace(data, result=known)) and begun not in text
    assert "largest width and resolution" in text and "largest width" not in compose(data)
