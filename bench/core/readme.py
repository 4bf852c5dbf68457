"""Writes the table of ../README.md from the list that `nasturtium bench core --json` wrote.

nasturtium bench core --json bench/results/core.json
python bench/core/readme.py [--json bench/results/core.json]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from nasturtium.bench import as_markdown
from nasturtium.bench.run import about

BENCH = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- table -->\n", "<!-- end of the table -->\n"


def main() -> None:
    """Replace what stands between the two marks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, default=BENCH / "results" / "core.json")
    rows = json.loads(parser.parse_args().json.read_text(encoding="utf-8"))
    page = BENCH / "README.md"
    head, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    made = ", ".join(f"{name} {value}" for name, value in about().items())
    page.write_text(f"{head}{BEGIN}{as_markdown(rows)}\n{made}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
