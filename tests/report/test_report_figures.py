"""The charts: what is in them, against counts and a second implementation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from nasturtium.report import Predictions, ReportData, TrialRow
from nasturtium.report.confusion import by_class, confusion, confusion_figure, in_words
from nasturtium.report.content import by_rung, facts, flat, phases, run_rows, table, usage, warnings
from nasturtium.report.figures import anytime, learning_curves, pareto, time_bar, tradeoff
from nasturtium.report.results import intervals_figure, residual_figures, result_figures
from nasturtium.report.verdict import verdict

Make = Callable[..., ReportData]


def trial(number: int, score: float | None, **changes: object) -> TrialRow:
    made = TrialRow(
        number=number, architecture=f"a{number}", status="ok", score=score, seconds=2.0,
        params=100.0 * (number + 1), fidelity={"epochs": 3}, order=number,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def labels(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.Generator(np.random.Philox(key=seed))
    return draw.integers(classes, size=200), draw.integers(classes, size=200)


@pytest.mark.parametrize("classes", [2, 7])
def test_confusion_equals_scikit_learn(classes: int) -> None:
    y_true, y_pred = labels(classes, classes)
    counts = confusion(y_true, y_pred, classes)
    assert (counts == confusion_matrix(y_true, y_pred, labels=range(classes))).all()
    rows = {row.name: row for row in by_class(counts, [str(i) for i in range(classes)])}
    recall = recall_score(y_true, y_pred, average=None)
    precision = precision_score(y_true, y_pred, average=None)
    for i in range(classes):
        assert rows[str(i)].recall == pytest.approx(recall[i])
        assert rows[str(i)].precision == pytest.approx(precision[i])
        assert rows[str(i)].samples == (y_true == i).sum()


def test_confusion_refuses_unknown_labels() -> None:
    with pytest.raises(ValueError, match="outside"):
        confusion(np.array([0, 3]), np.array([0, 1]), 3)


def test_classes_without_samples_have_no_recall() -> None:
    counts = confusion(np.array([0, 0]), np.array([0, 1]), 3)
    rows = {row.name: row for row in by_class(counts, ["a", "b", "c"])}
    assert (rows["a"].recall, rows["a"].precision) == (0.5, 1.0)
    assert (rows["b"].recall, rows["b"].precision) == (None, 0.0)
    assert (rows["c"].recall, rows["c"].precision) == (None, None)


def test_confusions_in_words() -> None:
    counts = np.array([[5, 2, 0], [0, 7, 0], [1, 0, 4]])
    assert in_words(counts, ["cat", "dog", "owl"]) == (
        "3 of 19 wrong. Most frequent: cat taken for dog (2 times), owl taken for cat (once)."
    )
    assert in_words(np.diag([3, 4]), ["a", "b"]) == "No sample was taken for another class."


@pytest.mark.parametrize(("classes", "texts"), [(10, True), (40, False), (300, False)])
def test_confusion_matrix_of_many_classes(classes: int, texts: bool) -> None:
    y_true, y_pred = labels(3, classes)
    counts = confusion(y_true, y_pred, classes)
    drawing = str(confusion_figure(counts, [f"class {i}" for i in range(classes)]).drawing)
    assert drawing.count("<rect") == np.count_nonzero(counts) + 1
    assert ('class="count' in drawing) == texts
    width = re.search(r'viewBox="0 0 (\d+)', drawing)
    assert width is not None and int(width[1]) < 800


points = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=12)


@given(points)
def test_pareto_equals_brute_force(drawn: list[tuple[int, int]]) -> None:
    costs, scores = [float(c) for c, _ in drawn], [float(s) for _, s in drawn]
    front = pareto(costs, scores)
    undominated = {
        (c, s)
        for c, s in drawn
        if not any((d <= c and t >= s) and (d < c or t > s) for d, t in drawn)
    }
    assert {(costs[i], scores[i]) for i in front} == undominated
    assert len(front) == len(undominated)


def test_anytime_counts_failed_trials_as_spent() -> None:
    rows = (trial(0, 0.5), trial(1, None, status="failed"), trial(2, 0.4), trial(3, 0.7))
    figure = anytime(ReportData({}, rows), "trials")
    drawn = str(figure.drawing)
    # From trial 1 at 0.5 to trial 4 at 0.7, and on to the end: two steps.
    (path,) = re.findall(r'd="(M[^"]+)"', drawn)
    x = [float(v) for v in re.findall(r"[MH]([\d.]+)", path)]
    ticks = dict(re.findall(r'x="([\d.]+)" y="[\d.]+" class="tick middle">(\d)<', drawn))
    place = {text: float(at) for at, text in ticks.items()}
    assert x[0] == pytest.approx(place["1"], abs=0.02)
    assert x[1] == pytest.approx(place["4"], abs=0.02)


def test_anytime_shows_rungs_and_random_search_apart() -> None:
    rows = (
        trial(0, 0.5),
        trial(1, 0.6, fidelity={"epochs": 9}),
        trial(0, 0.4, study="random_search", fidelity={"epochs": 9}),
    )
    figure = anytime(ReportData({}, rows), "seconds")
    assert [key.text for key in figure.keys] == [
        "3 epochs", "9 epochs", "random search, 9 epochs",
    ]  # fmt: skip
    assert str(figure.drawing).count("<path") == 3


def test_nothing_that_failed_counts_as_best() -> None:
    rows = (trial(0, 0.9, status="diverged"), trial(1, float("nan")), trial(2, None))
    assert "No trial has ended with a score." in str(
        anytime(ReportData({}, rows), "trials").drawing
    )


def test_tradeoff_takes_the_last_rung_and_marks_the_found_network() -> None:
    rows = (
        trial(0, 0.99),
        trial(1, 0.5, fidelity={"epochs": 9}),
        trial(2, 0.6, fidelity={"epochs": 9}),
        trial(3, 0.4, fidelity={"epochs": 9}, params=None),
    )
    data = ReportData({"trial": 2}, rows)
    figure = tradeoff(data, "parameters", lambda t: t.params)
    drawing = str(figure.drawing)
    assert drawing.count("<circle") == 3 and drawing.count('class="ring"') == 1
    assert figure.caption == "2 trials at 9 epochs."
    assert "trial 2: 0.6000, 300 parameters" in drawing


def test_learning_curves_are_limited_and_say_so() -> None:
    curve = (0.1, 0.5, 0.6)
    rows = tuple(trial(i, 0.6, curve=curve) for i in range(500))
    figure = learning_curves(ReportData({"trial": 7}, rows))
    assert str(figure.drawing).count("<path") == 121
    assert figure.caption == "120 of 500 trials drawn."


def test_residuals_leave_out_what_is_not_finite() -> None:
    y = np.array([1.0, 2.0, 3.0, np.nan])
    scatter, histogram = residual_figures(y, np.array([1.5, 2.5, 3.5, 1.0]), "price")
    assert str(scatter.drawing).count("<circle") == 3
    assert histogram.caption == "Mean residual +0.5; 90 % err by less than 0.5."
    empty = residual_figures(np.zeros(0), np.zeros(0), "price")
    assert all("There are no predictions." in str(figure.drawing) for figure in empty)


def test_large_test_parts_are_thinned() -> None:
    y = np.arange(10_000.0)
    scatter = residual_figures(y, y + 1, "price")[0]
    assert str(scatter.drawing).count("<circle") == 2000
    assert "2,000 of 10,000 samples are drawn" in scatter.caption


def test_histogram_counts_every_residual() -> None:
    draw = np.random.Generator(np.random.Philox(key=1))
    y = draw.normal(size=317)
    histogram = str(residual_figures(y, np.zeros(317), "y")[1].drawing)
    assert sum(int(n) for n in re.findall(r"<rect[^>]*><title>(\d+)</title>", histogram)) == 317


def test_intervals_stay_within_a_hundred_percent(make_classification: Make) -> None:
    data = make_classification(3, test_accuracy=1.0, test_accuracy_interval=[0.99, 1.0])
    figure = intervals_figure(data)
    assert figure is not None
    ticks = re.findall(r">([\d.]+)\N{NO-BREAK SPACE}%<", str(figure.drawing))
    assert ticks and max(map(float, ticks)) <= 100
    assert str(figure.drawing).count("<circle") == 5


def test_no_baselines_no_intervals(make_classification: Make) -> None:
    assert intervals_figure(make_classification(3, baselines=[])) is None


def test_missing_or_empty_predictions_are_said(make_classification: Make) -> None:
    data = make_classification(3)
    (figure,) = result_figures(replace(data, predictions=None))
    assert "were not saved" in str(figure.drawing)
    none = Predictions(np.zeros(0, np.int64), np.zeros(0, np.int64))
    (figure,) = result_figures(replace(data, predictions=none))
    assert "is empty" in str(figure.drawing)


def test_time_bar_is_in_proportion() -> None:
    drawing = str(time_bar([("search", 30.0), ("export", 0.0), ("report", 10.0)]).drawing)
    widths = [float(w) for w in re.findall(r'width="([\d.]+)" height="34"', drawing)]
    assert widths == pytest.approx([719.0, 239.0])
    assert "recorded no times" in str(time_bar([]).drawing)


def test_phases_name_the_rest() -> None:
    data = ReportData({"seconds": {"total": 10.0, "search": 6.0, "final_training": 3.0}})
    assert phases(data) == [("search", 6.0), ("final training", 3.0), ("other", 1.0)]


def test_table_puts_the_dearest_fidelity_and_the_best_score_first() -> None:
    rows = [
        trial(0, 0.99),
        trial(1, 0.5, fidelity={"epochs": 9}),
        trial(2, None, status="failed", fidelity={"epochs": 9}),
        trial(3, 0.7, fidelity={"epochs": 9}),
        trial(4, 0.995),
    ]
    assert [row.trial.number for row in table(rows)] == [3, 1, 4, 0, 2]


def test_rungs_sum_up_the_search_alone() -> None:
    rows = [
        trial(0, 0.5),
        trial(1, None, status="crashed"),
        trial(2, 0.6, fidelity={"epochs": 27}),
        trial(3, 0.4, status="stopped"),
        trial(0, 0.9, study="random_search"),
    ]
    low, high = by_rung(rows)
    assert (low.rung, low.trials, low.ok, low.failed, low.cut, low.best, low.seconds) == (
        "3 epochs", 3, 1, 1, 1, "0.5000", 6.0,
    )  # fmt: skip
    assert (high.rung, high.trials, high.best) == ("27 epochs", 1, "0.6000")


def test_facts_leave_out_what_is_unknown() -> None:
    assert facts(ReportData({"params": None, "latency_ms": {}})) == []
    (fact,) = facts(ReportData({"latency_ms": {"torch": {"median": 0.5, "p10": 0.4, "p90": 0.9}}}))
    assert (fact.value, fact.detail) == ("0.5 ms", "80 % in 0.4 to 0.9 ms")


def test_flat_lists_the_leaves() -> None:
    value = {"a_b": 1, "c": {"d": True, "e": None}, "f": [0.25, "x"]}
    assert flat(value) == [("a b", "1"), ("c, d", "yes"), ("f", "0.25, x")]


def test_warnings_say_what_was_not_done(make_classification: Make) -> None:
    said = " ".join(warnings(make_classification(3, baselines=[], exports={}, stopped_by="user")))
    for words in ("stopped by hand", "No baseline was run", "No exported file", "One split"):
        assert words in said


def test_only_files_that_are_there_are_explained(make_classification: Make) -> None:
    data = make_classification(3)
    assert len(usage(data)) == 3
    (snippet,) = usage(replace(data, files=frozenset({"model.py", "report.html"})))
    compile(snippet.code, "snippet", "exec")
    assert "torch.zeros(1, 1, 8, 8)" in snippet.code
    assert usage(replace(data, files=frozenset())) == []


def test_unequal_training_is_said(make_classification: Make) -> None:
    entry = {"name": "a net", "epochs": 1, "test_accuracy": 0.9, "measured": True}
    data = make_classification(3, epochs=8, baselines=[entry])
    said = " ".join(warnings(data))
    assert "Trained for less than the found network (1 epoch against 8)" in said
    assert verdict(data).comparisons[0].note == "Trained for 1 epoch."
    equal = make_classification(3, epochs=1, baselines=[entry])
    assert "Trained for less" not in " ".join(warnings(equal))


def test_a_command_can_be_pasted_into_a_shell(make_classification: Make) -> None:
    data = make_classification(3, command=["nasturtium", "search", "my data.csv"])
    assert run_rows(data)[0] == ("command", "nasturtium search 'my data.csv'")
