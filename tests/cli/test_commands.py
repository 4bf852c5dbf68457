"""The small commands, their errors and exit codes, and what an import costs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nasturtium import registry
from nasturtium.cli import doctor
from nasturtium.cli.app import app, run
from nasturtium.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_methods_as_json_markdown_and_table(capsys):
    assert run(["methods", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    keys = {"id", "area", "family", "title", "year", "reference", "differs", "proof"}
    assert all(keys <= set(row) for row in rows)
    assert [r["id"] for r in rows] == [i.id for i in registry.infos()]
    assert run(["methods", "--markdown"]) == 0
    assert capsys.readouterr().out == (ROOT / "METHODS.md").read_text(encoding="utf-8")
    assert run(["methods"]) == 0
    table = capsys.readouterr().out
    assert all(row["id"] in table and row["reference"] in table for row in rows)
    assert run(["methods", "--json", "--markdown"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_spaces_with_published_size(capsys):
    assert run(["spaces", "--json"]) == 0
    spaces = {s["id"]: s for s in json.loads(capsys.readouterr().out)}
    nb201 = spaces["nb201-space"]
    assert nb201["size"] == 15_625 and len(nb201["decisions"]) == 6
    assert "nb201" in nb201["names"]
    assert run(["spaces"]) == 0
    assert "15,625" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["serach"], 'unknown command "serach"; did you mean "search"?'),
        (["methods", "--jason"], "--jason"),
        (["methods", "extra"], "extra"),
        (["--nothing", "methods"], "--nothing"),
    ],
)
def test_a_wrong_call_gets_one_line_and_exit_code_2(arguments, part, capsys):
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nasturtium: ") and captured.err.count("\n") == 1
    assert part in captured.err


def test_user_errors_interrupts_and_defects(capsys, monkeypatch):
    raised: list[BaseException] = []

    @app.command("raise-what-the-test-says", hidden=True)
    def command() -> None:
        raise raised[-1]

    monkeypatch.setitem(
        sys.modules["nasturtium.cli.app"]._MODULES, "raise-what-the-test-says", "methods"
    )
    raised.append(UserError("no file \x1b[31mdata.csv\nname it"))
    assert run(["raise-what-the-test-says"]) == 2
    assert capsys.readouterr().err == "nasturtium: no file ?[31mdata.csv name it\n"
    raised.append(KeyboardInterrupt())
    assert run(["raise-what-the-test-says"]) == 130
    raised.append(ZeroDivisionError("a defect"))
    with pytest.raises(ZeroDivisionError):
        run(["raise-what-the-test-says"])
    app.registered_commands.pop()


def test_ctrl_c_exits_with_130():
    code = (
        "import signal, sys, time, typer\n"
        # A test run in the background inherits an ignored SIGINT.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from nasturtium.cli import app as a, methods\n"
        "a._MODULES['wait'] = 'methods'\n"
        "@a.app.command()\n"
        "def wait() -> None:\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "sys.exit(a.run(['wait']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "nasturtium: interrupted\n")


def test_a_reader_that_goes_away_gets_no_traceback():
    code = "import sys; from nasturtium.cli.app import run; sys.exit(run(['methods', '--json']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 1


def test_version_and_cmake_folder(capsys):
    assert run(["--version"]) == 0
    header = (ROOT / "csrc/include/nasturtium/version.hpp").read_text(encoding="utf-8")
    printed = capsys.readouterr().out.split()[1]
    assert f'"{printed}"' in header
    code = run(["--cmake-dir"])
    captured = capsys.readouterr()
    if code:
        assert code == 2 and "pip install" in captured.err
    else:
        assert (Path(captured.out.strip()) / "nasturtiumConfig.cmake").is_file()


def test_doctor_reports_what_is_there(capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "999")
    code = run(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == (1 if found["problems"] else 0)
    assert found["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["cores"] == len(os.sched_getaffinity(0))
    assert found["core"]["loads"]
    assert any("OMP_NUM_THREADS=999" in w for w in found["warnings"])
    assert run(["doctor"]) == code
    assert f"numpy{' ' * 18}{found['packages']['numpy']}" in capsys.readouterr().out


def test_doctor_says_how_to_get_what_is_missing(capsys, monkeypatch):
    real = importlib.metadata.version
    gone = {"scikit-learn", "onnxruntime", "pyarrow"}

    def version(name):
        if name in gone:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    assert run(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "problem: missing: scikit-learn; run: pip install scikit-learn" in text
    assert (
        'warning: extra onnx: onnxruntime not installed; run: pip install "nasturtium[onnx]"'
        in (text)
    )
    assert 'pip install "nasturtium[parquet]"' in text


def test_doctor_recommends_extras_that_exist():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["optional-dependencies"]
    for extra, names in doctor.EXTRAS.items():
        assert set(names) <= {d.split(">")[0] for d in declared[extra]}
    assert {d.split(">")[0].lower() for d in project["dependencies"]} == {
        name.lower() for name in doctor.REQUIRED
    }


def test_importing_is_fast_and_takes_no_torch():
    code = (
        "import sys, time\n"
        "start = time.perf_counter()\n"
        "import nasturtium\n"
        "print(time.perf_counter() - start)\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
        "from nasturtium import Choice, Graph, Space, __version__\n"
        "from nasturtium import registry\n"
        "registry.load_all()\n"
        "assert 'torch' not in sys.modules\n"
        "assert set(nasturtium.__all__) <= set(dir(nasturtium))\n"
    )
    fastest = 9.0
    for _ in range(3):
        done = python(code)
        assert done.returncode == 0, done.stderr
        fastest = min(fastest, float(done.stdout))
    assert fastest < 0.2


def test_listing_methods_needs_no_torch_and_unknown_names_are_refused():
    code = (
        "import sys\n"
        "from nasturtium.cli.app import run\n"
        "assert run(['methods']) == 0 and run(['spaces']) == 0\n"
        "assert 'torch' not in sys.modules\n"
        "import nasturtium\n"
        "try:\n"
        "    nasturtium.nothing\n"
        "except AttributeError as error:\n"
        "    print(error, file=sys.stderr)\n"
    )
    start = time.monotonic()
    done = python(code)
    assert done.returncode == 0 and "no attribute 'nothing'" in done.stderr, done.stderr
    assert time.monotonic() - start < 60
