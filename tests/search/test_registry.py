"""The registry: names, the texts of methods, and that nothing on the list lacks its proof."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasturtium import registry
from nasturtium.errors import MethodError
from nasturtium.registry import MethodInfo
from nasturtium.spaces import nb201
from nasturtium.spec import parse_spec

ROOT = Path(__file__).resolve().parents[2]


def test_a_text_makes_a_method_with_its_parameters():
    text = "Regularized-Evolution(population=7, sample=2)"
    made = registry.create(text, "method", space=nb201(), seed=1)
    assert (made.name, made.proposer.population, made.proposer.sample) == (
        "regularized-evolution",
        7,
        2,
    )
    assert registry.find("regularized_evolution", "method").id == "regularized-evolution"
    assert registry.create("nb201", "space") == registry.create("nb201-space()", "space")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("regularised_evolution", 'did you mean "regularized-evolution"'),
        ("random_search(population=3)", 'no parameter "population"; known are repeats'),
        ("regularized_evolution(populatoin=3)", 'did you mean "population"?'),
        ("regularized_evolution(population='many')", "is int, not 'many'"),
        ("regularized_evolution(population=True)", "is int, not True"),
        ("regularized_evolution(population=2.5)", "is int, not 2.5"),
        ("regularized_evolution(seed=3)", 'no parameter "seed"'),
        ("random_search(space=None)", 'no parameter "space"'),
        ("random_search(repeats=1)", "is bool, not 1"),
    ],
)
def test_wrong_texts_are_explained_in_one_line(text, part):
    with pytest.raises(MethodError) as caught:
        registry.create(text, "method", space=nb201(), seed=0)
    assert part in str(caught.value) and "\n" not in str(caught.value)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("abc XYZ.,()=", max_size=8),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True), VALUES, max_size=4))
def test_the_parser_agrees_with_python_on_literals(arguments):
    text = "m(" + ", ".join(f"{k}={v!r}" for k, v in arguments.items()) + ")"
    assert parse_spec(text) == ("m", arguments)


def _is_literal(value):
    if isinstance(value, tuple | dict):
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return all(map(_is_literal, parts))
    return value is None or type(value) in (bool, int, float, str)


@given(st.text(alphabet="ab_1.5e-+'\"()[]{},:= TrueNone\\\n\0é", max_size=40))
def test_the_parser_takes_or_refuses_but_never_breaks(text):
    try:
        name, arguments = parse_spec(text)
    except MethodError as error:
        assert "\n" not in str(error)
    else:
        assert name in text and all(key in text for key in arguments)
        assert all(_is_literal(value) for value in arguments.values())


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "m(a=__import__('os'))",
        "m(a=[].__class__)",
        "m(a=f'x')",
        "m(a=1" + "0" * 1000 + ")",
        "m(a=" + "[" * 1000 + "]" * 1000 + ")",
        "m(a=1e999)",
        "m" * 100_000,
        "m(a=0x10)",
        "m(a=1_000)",
        "m(*a)",
        "os.path",
        "m(a='\\x41')",
    ],
)
def test_hostile_texts_are_refused(text):
    with pytest.raises(MethodError):
        parse_spec(text)


def test_names_are_taken_once():
    info = registry.find("random-search", "method")
    with pytest.raises(MethodError, match="registered twice"):
        registry.register(info)(lambda: None)
    taken = MethodInfo("x", "a", "method", "f", "t", 2020, "r", "", "p", aliases=("random_search",))
    with pytest.raises(MethodError, match="belongs to"):
        registry.register(taken)(lambda: None)
    with pytest.raises(MethodError, match='kind "metod"'):
        MethodInfo("x", "a", "metod", "f", "t", 2020, "r", "", "p")
    with pytest.raises(MethodError, match="registered as a space"):
        registry.register_space(info)


def test_every_entry_is_complete_and_no_proof_serves_two():
    infos = registry.infos()
    assert {"random-search", "regularized-evolution", "nb201-space"} <= {i.id for i in infos}
    for info in infos:
        assert all((info.area, info.family, info.title, info.reference, info.differs, info.proof))
        assert 1980 < info.year < 2100
    proofs = [i.proof for i in infos]
    assert len(set(proofs)) == len(proofs)


def test_every_proof_is_a_test_that_is_collected():
    proofs = [info.proof for info in registry.infos()]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *proofs],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-500:]
    collected = {line.split("[")[0] for line in done.stdout.splitlines() if "::" in line}
    assert collected == {p.split("[")[0] for p in proofs}


def test_a_method_is_a_short_factory():
    for info in registry.infos("method"):
        made = registry.factory(info.id, "method")
        source = Path(made.__code__.co_filename).read_text(encoding="utf-8")
        (function,) = (
            node
            for node in ast.parse(source).body
            if isinstance(node, ast.FunctionDef) and node.name == made.__name__
        )
        body = function.body[1:]
        assert (body[-1].end_lineno or 0) - body[0].lineno < 25, info.id


def test_methods_md_is_what_the_registry_prints():
    text = (ROOT / "METHODS.md").read_text(encoding="utf-8")
    assert text == registry.markdown(), "run: nasturtium methods --markdown > METHODS.md"
