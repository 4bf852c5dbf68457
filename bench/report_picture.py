"""Take the picture of a run's report: ``python bench/report_picture.py RUN [--out FILE]``.

Renders RUN/report.html with a headless Chromium into a PNG, by default bench/results/report.png.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HERE = Path(__file__).resolve().parent


def take(page: Path, out: Path, *, width: int, height: int, scale: float, dark: bool) -> None:
    """Write the top ``width`` x ``height`` CSS pixels of a page to ``out``.

    Raises:
        FileNotFoundError: no such page, or no browser.
        RuntimeError: the browser wrote no picture.
    """
    if not page.is_file():
        raise FileNotFoundError(f"{page} does not exist; run `nasturtium report` first")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise FileNotFoundError(f"none of {', '.join(BROWSERS)} is installed")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder) / "page.png"
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={folder}/profile", f"--window-size={width},{height}",
            f"--force-device-scale-factor={scale:g}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--screenshot={taken}", page.resolve().as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if not taken.is_file():
            raise RuntimeError(f"{browser} wrote no picture: {done.stderr[-500:]}")
        shutil.copyfile(taken, out)


def main() -> int:
    """Read the arguments, take the picture, print its path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "report.png")
    parser.add_argument("--width", type=int, default=1180, help="CSS pixels")
    parser.add_argument("--height", type=int, default=1500, help="CSS pixels")
    parser.add_argument("--scale", type=float, default=1.0, help="picture pixels per CSS pixel")
    parser.add_argument("--dark", action="store_true", help="as a reader of dark pages sees it")
    given = parser.parse_args()
    try:
        take(
            given.run / "report.html", given.out,
            width=given.width, height=given.height, scale=given.scale, dark=given.dark,
        )  # fmt: skip
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 1
    print(given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
