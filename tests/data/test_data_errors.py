"""Bad input: one line that says what is wrong and what to do, and nothing that was run."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nasturtium.data import Schema, from_arrays, load, read_inputs
from nasturtium.errors import DataError, UserError

GOOD = "a,b,y\n" + "".join(f"{i},{i % 5},{'pq'[i % 2]}\n" for i in range(30))


def refuse(call: Callable[[], object], *parts: str) -> None:
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["is empty"]),
        ("  \n\n", ["is empty"]),
        ("a,b,y\n", ["no rows"]),
        ("a\n1\n2\n", ["one column only"]),
        (GOOD + "1,2\n", ["line 32", "2 fields", "header has 3"]),
        (GOOD.replace("\n7,2,q", "\n7,2,q,9"), ["line 9", "4 fields"]),
        (GOOD.replace("a,b,y", "a,a,y"), ["two columns named 'a'"]),
        ("a,b,y\n" + "1,2,p\n3,4,q\n" * 5, ["holds 10 rows", "at least 20"]),
        (GOOD.replace(",q", ",p"), ["one class only", "'p'"]),
        (GOOD + "3,1,rare\n", ["'rare' has 1 row", "3 are needed"]),
        (GOOD.replace("\n7,2,q", "\n7,2,NaN"), ["'y' is missing", "1 of 30 rows", "row 8"]),
        (GOOD.replace("\n7,2", "\ninf,2"), ["infinite", "row 8", "'a'"]),
        (GOOD.replace("\n7,2", "\n1e999,2"), ["infinite", "row 8", "'a'"]),
        (GOOD.replace("\n7,2", "\n1e39,2"), ["too large for 32 bits", "row 8"]),
        (
            "a,y\n" + "".join(f"{i},name{i}\n" for i in range(30)),
            ["30 different values", "--target"],
        ),
        ("r,y\n" + "".join(f"text {i},{i % 2}\n" for i in range(99)), ["no usable column"]),
        ("a,y\n" + "".join(f"{i},0.5\n" for i in range(30)), ["same value"]),
    ],
)
def test_tables(tmp_path: Path, text: str, parts: list[str]) -> None:
    (tmp_path / "t.csv").write_text(text)
    refuse(lambda: load(tmp_path / "t.csv"), *parts)


def test_options(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(GOOD)
    refuse(lambda: load(path, target="yy"), "no column 'yy'", 'did you mean "y"')
    refuse(lambda: load(path, group="bb"), "no column 'bb' to group by", 'did you mean "b"')
    refuse(lambda: load(path, group="y", target="y"), "both target and group")
    refuse(lambda: load(path, task="clasification"), 'did you mean "classification"')
    refuse(lambda: load(path, task="regression"), "'p', no number", "--task classification")


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(GOOD)
    refuse(lambda: load(tmp_path / "tabel.csv"), "does not exist", 'did you mean "table.csv"')
    refuse(lambda: load(tmp_path / "no" / "t.csv"), "there is no folder")
    refuse(lambda: load("digit"), "does not exist", '"digits"')
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    refuse(lambda: load(tmp_path / "t.xlsx"), "of no known kind", "CSV")
    (tmp_path / "t.csv").write_bytes(bytes(range(256)))
    refuse(lambda: load(tmp_path / "t.csv"), "binary data")
    (tmp_path / "t.csv").write_text('a,b\n"' + "x" * 200_000 + '",1\n')
    refuse(lambda: load(tmp_path / "t.csv"), "no table at line 2")
    refuse(lambda: load("digits", group="a"), "leave")


def arrays(**changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"x": rng.random((24, 6, 6)), "y": np.arange(24) % 2, **changes}


def spoiled(value: float) -> np.ndarray[Any, Any]:
    x: np.ndarray[Any, Any] = arrays()["x"]
    x[5, 2, 3] = x[7, 0, 0] = value
    return x


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"y": np.arange(23) % 2}, ["24 rows", "(23,)"]),
        ({"y": np.zeros((24, 2))}, ["(24, 2)"]),
        ({"x": np.full((24, 2), 1e39)}, ["48 values", "too large for 32 bits", "(0, 0)"]),
        ({"x": spoiled(np.nan)}, ["2 pixels", "NaN or infinite", "(5, 0, 2, 3)"]),
        ({"x": spoiled(np.inf)}, ["2 pixels", "(5, 0, 2, 3)"]),
        ({"x": spoiled(np.inf)[:, 0]}, ["1 values", "infinite", "(7, 0)"]),
        ({"x": np.zeros(24)}, ["shape (24,)"]),
        ({"x": np.zeros((24, 5, 6, 7))}, ["(24, 5, 6, 7)", "1 to 4 channels"]),
        ({"x": np.zeros((24, 0, 6))}, ["(24, 0, 6)"]),
        ({"x": np.full((24, 2), "a")}, ["type <U1", "CSV"]),
        ({"x": np.zeros((24, 2), complex)}, ["complex128"]),
        ({"y": np.zeros(24)}, ["one class only"]),
        ({"y": np.where(np.arange(24) == 3, np.nan, 1.5)}, ["missing (NaN) in 1 of 24", "row 4"]),
        ({"y": np.where(np.arange(24) == 3, np.inf, np.arange(24) / 7)}, ["infinite", "row 4"]),
        ({"y": np.arange(24) % 3, "classes": ["a", "b"]}, ["y[2] is 2", "2 classes"]),
        ({"y": np.arange(24) % 2, "classes": ["a", "a"]}, ["two classes have the same name"]),
        ({"x": np.ones((9, 2)), "y": np.arange(9) % 2}, ["9 rows"]),
    ],
)
def test_arrays(tmp_path: Path, changes: dict[str, Any], parts: list[str]) -> None:
    given = arrays(**changes)
    refuse(lambda: from_arrays(**given), *parts)
    np.savez(tmp_path / "t.npz", **given)
    refuse(lambda: load(tmp_path / "t.npz"), *parts)


def test_object_arrays_are_refused_and_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"

    class Planted:
        def __reduce__(self) -> tuple[Any, ...]:
            return (open, (str(marker), "w"))

    objects = np.array([Planted(), Planted()], dtype=object)
    with open(tmp_path / "t.npz", "wb") as file:
        np.savez(file, x=objects, y=np.zeros(2))
    refuse(lambda: load(tmp_path / "t.npz"), "'x' holds Python objects")
    for name in ("t.npz", "t.csv", "t.pkl", "t.pt", "t.png", "t.parquet", "t.npy"):
        (tmp_path / name).write_bytes(pickle.dumps(Planted()))
        refuse(lambda name=name: load(tmp_path / name))  # type: ignore[misc]
    refuse(lambda: from_arrays(objects, [0, 1]), "Python objects")
    assert not marker.exists()


def test_damaged_and_boastful_archives(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, **arrays())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refuse(lambda: load(path), "no .npz file")
    path.write_bytes(whole[:400] + bytes(64) + whole[464:])
    refuse(lambda: load(path), "cannot be read")
    np.savez(path, x=np.zeros((3, 2)))
    refuse(lambda: load(path), "lacks the array 'y'")
    np.savez(path, **arrays())
    refuse(lambda: load(path, group="who"), "lacks the array 'who'")
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", head.getvalue())
        archive.writestr("y.npy", head.getvalue())
    refuse(lambda: load(path), "at most 16 GiB")
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": (10**4, 10**4)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", head.getvalue())
        archive.writestr("y.npy", head.getvalue())
    refuse(lambda: load(path), "does not match its size")


def test_folders(tmp_path: Path) -> None:
    refuse(lambda: load(tmp_path), "holds no folders")
    (tmp_path / "a").mkdir()
    refuse(lambda: load(tmp_path), "holds no images")
    for i in range(24):
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(tmp_path / "a" / f"{i}.png")
    refuse(lambda: load(tmp_path), "one class only", "'a'")
    refuse(lambda: load(tmp_path, task="regression"), "impossible")
    refuse(lambda: load(tmp_path, group="a"), "no columns")
    (tmp_path / "b").mkdir()
    Image.fromarray(np.full((4, 4), 1, np.uint8)).save(tmp_path / "b" / "x.png")
    refuse(lambda: load(tmp_path), "'b' has 1 row")
    file = tmp_path / "b" / "y.png"
    file.write_bytes((tmp_path / "b" / "x.png").read_bytes()[:40])
    refuse(lambda: load(tmp_path), "y.png", "cannot be read as an image")
    file.write_text("this is text")
    refuse(lambda: load(tmp_path), "y.png", "cannot be read as an image")
    refuse(lambda: load(tmp_path, max_side=-3), "largest side", "-3")


def test_folders_of_parts_are_told_from_classes(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part / "cat").mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / part / "cat" / "1.png")
    refuse(lambda: load(tmp_path), "holds parts (test, train)", "--test")


def test_inputs_for_a_model(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(GOOD)
    schema = load(tmp_path / "t.csv").schema
    (tmp_path / "n.csv").write_text("a,c\n1,2\n")
    refuse(lambda: read_inputs(tmp_path / "n.csv", schema), "lacks the column 'b'")
    refuse(lambda: schema.encode_rows([{"a": 1, "b": 2}, {"a": 1}]), "row 2 lacks the column 'b'")
    refuse(lambda: read_inputs(tmp_path / "m.csv", schema), "does not exist")
    refuse(lambda: schema.encode_image(tmp_path / "t.csv"), "no images")
    digits = load("digits").schema
    refuse(lambda: read_inputs(tmp_path / "t.csv", digits), "images")
    refuse(lambda: digits.encode_array(np.zeros((3, 9, 8))), "(3, 9, 8)")
    refuse(lambda: load(tmp_path / "t.csv", like=digits), "both must be of one kind")


@pytest.mark.parametrize(
    "change", [{"task": "x"}, {"kind": "image"}, {"columns": [{"name": "a"}]}, {"image": {"q": 1}}]
)
def test_wrong_schemas(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "t.csv").write_text(GOOD)
    value = load(tmp_path / "t.csv").schema.to_json()
    with pytest.raises(DataError, match="no schema"):
        Schema.from_json({**value, **change})
