"""CSV and Parquet files against numpy, pyarrow and hand-written values."""

from __future__ import annotations

import csv
import importlib.util
import math
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasturtium.data import load, read_inputs
from nasturtium.errors import DataError, MissingExtra


def mixed_table(path: Path, rows: int = 60, delimiter: str = ",") -> Path:
    """A table with every kind of column, gaps, quotes and identifiers."""
    colors = ["red", 'dark "blue"', "green, pale", "?"]
    lines = [delimiter.join(["id", "size", "color", "fit", "remark", "label"])]
    for i in range(rows):
        size = "NA" if i % 7 == 3 else f"{i / 4:.2f}"
        color = '"' + colors[i % 4].replace('"', '""') + '"'
        fit = ["yes", "No", ""][i % 3]
        lines.append(delimiter.join([str(i), size, color, fit, f"note {i}", "ab"[i % 2]]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_kind_of_column(tmp_path: Path, delimiter: str) -> None:
    dataset = load(mixed_table(tmp_path / "t.csv", delimiter=delimiter))
    assert [(c.name, c.kind) for c in dataset.schema.columns] == [
        ("size", "number"),
        ("color", "category"),
        ("fit", "boolean"),
    ]
    assert dataset.schema.columns[1].categories == ('dark "blue"', "green, pale", "red")
    size, color, fit = dataset.x.T
    assert math.isnan(size[3]) and np.isnan(size).sum() == 9 and size[5] == 1.25
    assert color[:3].tolist() == [2, 0, 1] and math.isnan(color[3])
    assert fit[:2].tolist() == [1, 0] and math.isnan(fit[2])
    assert dataset.schema.task == "classification" and dataset.schema.classes == ("a", "b")
    assert dataset.y.tolist() == [0, 1] * 30
    said = " ".join(dataset.notes)
    assert (
        "'label', taken by its name" in said and "'remark' was left out" in said and "'id'" in said
    )


def write_csv(path: Path, header: list[str], rows: Iterable[Iterable[object]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def test_numbers_agree_with_numpy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((50, 5)) * 10.0 ** rng.integers(-8, 8, (50, 5))
    values[:, :4][rng.random((50, 4)) < 0.1] = np.nan
    rows = [["null" if np.isnan(v) else repr(float(v)) for v in row] for row in values]
    write_csv(tmp_path / "t.csv", list("abcdt"), rows)
    dataset = load(tmp_path / "t.csv")
    expected = np.genfromtxt(tmp_path / "t.csv", delimiter=",", skip_header=1)
    np.testing.assert_array_equal(dataset.x, expected[:, :4].astype(np.float32))
    np.testing.assert_array_equal(dataset.y, expected[:, 4].astype(np.float32))
    assert np.isnan(dataset.x).any()
    assert dataset.schema.task == "regression" and dataset.schema.target == "t"
    assert "as the last column" in dataset.notes[0]


def test_target_by_option_name_and_place(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 3},{i % 2}\n" for i in range(30))
    (tmp_path / "t.csv").write_text("a,Class,b\n" + rows)
    assert load(tmp_path / "t.csv").schema.target == "Class"
    assert load(tmp_path / "t.csv", target="b").schema.classes == ("0", "1")
    assert [c.name for c in load(tmp_path / "t.csv", target="b").schema.columns] == ["a", "Class"]


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([f"{i % 3}" for i in range(120)], "classification", ("0", "1", "2")),
        ([f"{[10, 9, 100][i % 3]}.0" for i in range(120)], "classification", ("9", "10", "100")),
        ([["True", "False"][i % 2] for i in range(40)], "classification", ("False", "True")),
        ([f"{i % 20}" for i in range(400)], "classification", tuple(map(str, range(20)))),
        ([f"{i % 10}" for i in range(100)], "classification", tuple(map(str, range(10)))),
        ([f"{i % 21}" for i in range(4200)], "regression", ()),
        ([f"{3 * (i % 10)}" for i in range(100)], "regression", ()),
        ([f"{i}" for i in range(60)], "regression", ()),
        ([f"{(i % 2) / 2}" for i in range(60)], "regression", ()),
        ([f"{i % 2}" for i in range(60)], "classification", ("0", "1")),
        ([["-1", "1"][i % 2] for i in range(60)], "classification", ("-1", "1")),
    ],
)
def test_task_by_target(
    tmp_path: Path, values: list[str], task: str, classes: tuple[str, ...]
) -> None:
    text = "a,y\n" + "".join(f"{i % 7},{v}\n" for i, v in enumerate(values))
    (tmp_path / "t.csv").write_text(text)
    schema = load(tmp_path / "t.csv").schema
    assert (schema.task, schema.classes) == (task, classes)


def test_task_option_overrides(tmp_path: Path) -> None:
    text = "a,y\n" + "".join(f"{i % 7},{i % 4}\n" for i in range(120))
    (tmp_path / "t.csv").write_text(text)
    assert load(tmp_path / "t.csv").schema.task == "classification"
    dataset = load(tmp_path / "t.csv", task="regression")
    assert dataset.schema.task == "regression" and dataset.y.dtype == np.float32
    text = "a,y\n" + "".join(f"{i % 7},{(i % 4) / 4}\n" for i in range(120))
    (tmp_path / "t.csv").write_text(text)
    assert load(tmp_path / "t.csv", task="classification").schema.classes == (
        "0",
        "0.25",
        "0.5",
        "0.75",
    )


def test_decimal_comma_marks_and_encodings(tmp_path: Path) -> None:
    text = "größe;farbe;y\r\n" + "".join(f"{i},5;rot {i % 3};{i},25\r\n" for i in range(30))
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "latin-1"):
        (tmp_path / "t.csv").write_bytes(text.encode(encoding))
        dataset = load(tmp_path / "t.csv")
        assert dataset.schema.decimal == ","
        assert [c.name for c in dataset.schema.columns] == ["größe", "farbe"]
        assert dataset.x[:3, 0].tolist() == [0.5, 1.5, 2.5]
        assert dataset.y[:2].tolist() == [0.25, 1.25]


def test_columns_of_gaps_constants_and_stray_texts(tmp_path: Path) -> None:
    rows = "".join(f",7,{'oops' if i == 4 else i * 0.5},{i % 2}\n" for i in range(40))
    (tmp_path / "t.csv").write_text("none,same,odd,y\n" + rows)
    dataset = load(tmp_path / "t.csv")
    assert np.isnan(dataset.x[:, 0]).all() and (dataset.x[:, 1] == 7).all()
    assert math.isnan(dataset.x[4, 2]) and dataset.x[5, 2] == 2.5
    assert any("'oops'" in note for note in dataset.notes)


def test_groups(tmp_path: Path) -> None:
    text = "who,a,y\n" + "".join(
        f"{'' if i == 9 else 'pqr'[i % 3]},{i},{i % 2}\n" for i in range(30)
    )
    (tmp_path / "t.csv").write_text(text)
    dataset = load(tmp_path / "t.csv", group="who")
    assert [c.name for c in dataset.schema.columns] == ["a"]
    assert dataset.groups is not None
    groups = np.delete(dataset.groups, 9)
    assert len(set(groups)) == 3 and dataset.groups[9] not in groups
    assert (groups[:9].reshape(3, 3) == groups[:3]).all()


def test_like_reads_a_test_file_by_the_other_schema(tmp_path: Path) -> None:
    mixed_table(tmp_path / "train.csv")
    schema = load(tmp_path / "train.csv").schema
    (tmp_path / "test.csv").write_text("label,fit,color,size\nb,1,violet,3\nb,no,red,\n")
    test = load(tmp_path / "test.csv", like=schema)
    np.testing.assert_array_equal(test.x, np.array([[3, -1, 1], [np.nan, 2, 0]], np.float32))
    assert test.y.tolist() == [1, 1] and test.schema == schema
    (tmp_path / "new.csv").write_text("fit;color;size\n1;violet;3\n")
    np.testing.assert_array_equal(read_inputs(tmp_path / "new.csv", schema), [[3, -1, 1]])
    (tmp_path / "test.csv").write_text("label,fit,color,size\nc,1,violet,3\n")
    with pytest.raises(DataError, match="the class 'c' is not among those trained on"):
        load(tmp_path / "test.csv", like=schema)


def test_category_numbers_written_as_floats(tmp_path: Path) -> None:
    text = "code,y\n" + "".join(f"{['A', '7', '12'][i % 3]},{i % 2}\n" for i in range(30))
    (tmp_path / "t.csv").write_text(text)
    schema = load(tmp_path / "t.csv").schema
    assert schema.columns[0].categories == ("12", "7", "A")
    raw: list[dict[str, object]] = [
        {"code": v} for v in ("7", "7.0", 7, 7.0, np.float32(7), np.int64(12), "B", None)
    ]
    encoded = schema.encode_rows(raw)[:, 0]
    np.testing.assert_array_equal(encoded, [1, 1, 1, 1, 1, 0, -1, np.nan])


cells = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=20, max_size=30))
def test_any_text_gives_a_data_set_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "t.csv"
    write_csv(path, ["a", "b", "y"], rows)
    try:
        dataset = load(path)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert not np.isinf(dataset.x).any() and len(dataset.x) == len(dataset.y)


def test_parquet_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingExtra, match=r'pip install "nasturtium\[parquet\]"'):
        load(tmp_path / "t.parquet")


@pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed (extra parquet)"
)
def test_parquet_equals_csv(tmp_path: Path) -> None:
    arrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    columns: dict[str, list[object]] = {
        "size": [i / 3 for i in range(60)],
        "count": [None if i % 9 == 0 else i % 5 for i in range(60)],
        "kind": [None if i % 7 == 0 else "rst"[i % 3] for i in range(60)],
        "fits": [i % 4 == 0 for i in range(60)],
        "remark": [f"note {i}" for i in range(60)],
        "class": [["wide", "narrow"][i % 2] for i in range(60)],
    }
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    write_csv(tmp_path / "t.csv", list(columns), zip(*columns.values(), strict=True))
    ours, other = load(tmp_path / "t.parquet"), load(tmp_path / "t.csv")
    np.testing.assert_array_equal(ours.x, other.x)
    np.testing.assert_array_equal(ours.y, other.y)
    assert ours.schema == other.schema and ours.x.shape == (60, 4)
    (tmp_path / "bad.parquet").write_bytes((tmp_path / "t.parquet").read_bytes()[:300])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        load(tmp_path / "bad.parquet")
    parquet.write_table(arrow.table({"a": [[1]] * 30, "y": [1, 2] * 15}), tmp_path / "l.parquet")
    with pytest.raises(DataError, match="holds lists or structures"):
        load(tmp_path / "l.parquet")
