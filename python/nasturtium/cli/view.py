"""The live view of a run: a panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nasturtium.job.progress import Progress, TrialSeen

PLAIN_EVERY = 5.0  # seconds between two plain lines about trials


def view(console: Console, *, quiet: bool = False) -> PlainView | LiveView:
    """The view that suits `console`."""
    return (
        LiveView(console) if console.is_terminal and not quiet else PlainView(console, quiet=quiet)
    )


class PlainView(Progress):
    """A line at the beginning of each phase, and one every few seconds about trials."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._last = 0.0

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def phase(self, name: str, seconds: float | None) -> None:
        planned = "" if seconds is None else f" (about {seconds:.0f} s)"
        self._print(f"{name}{planned}")

    def trial(self, seen: TrialSeen, left: float | None) -> None:
        if time.monotonic() - self._last >= PLAIN_EVERY:
            self._last = time.monotonic()
            self._print(f"  {_trial_text(seen)}{_left_text(left)}")

    def note(self, text: str) -> None:
        self._print(f"note: {text}")

    def _print(self, text: str) -> None:
        if not self._quiet:
            self._console.print(escape(text), highlight=False, soft_wrap=True)


class LiveView(Progress):
    """A few lines that are drawn anew in place: phase, last trials, best so far, time left."""

    KEEP = 6

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(
            console=console, refresh_per_second=8, transient=True, get_renderable=self._draw
        )
        self._phase = "starting"
        self._ends: float | None = None
        self._run_ends: float | None = None
        self._rows: list[TrialSeen] = []
        self._counts: dict[str, int] = {}

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def phase(self, name: str, seconds: float | None) -> None:
        self._phase = name
        self._ends = None if seconds is None else time.monotonic() + seconds
        self._rows.clear()

    def trial(self, seen: TrialSeen, left: float | None) -> None:
        self._rows = [*self._rows, seen][-self.KEEP :]
        self._counts[seen.study] = self._counts.get(seen.study, 0) + 1
        self._run_ends = None if left is None else time.monotonic() + left

    def note(self, text: str) -> None:
        self._console.print(f"[yellow]note:[/] {escape(text)}", highlight=False)

    def _draw(self) -> Group:
        head = Text(self._phase, style="bold")
        for label, ends in (("phase", self._ends), ("run", self._run_ends)):
            if ends is not None:
                head.append(
                    f"   {label}: {max(0.0, ends - time.monotonic()):.0f} s left", style="dim"
                )
        table = Table(box=None, padding=(0, 2), show_header=bool(self._rows))
        for name in ("trial", "fidelity", "status", "score", "best"):
            table.add_column(
                name, justify="right" if name in ("trial", "score", "best") else "left"
            )
        for row in self._rows:
            table.add_row(
                str(row.number), row.fidelity, row.status, _number(row.score), _number(row.best)
            )
        counts = ", ".join(f"{study}: {count} trials" for study, count in self._counts.items())
        return Group(head, table, Text(counts, style="dim"))


def _trial_text(seen: TrialSeen) -> str:
    total = "" if seen.total is None else f" of {seen.total}"
    return (
        f"{seen.study}: trial {seen.number}{total}, {seen.fidelity}, {seen.status}, "
        f"score {_number(seen.score)}, best {_number(seen.best)}"
    )


def _left_text(left: float | None) -> str:
    return "" if left is None or left == float("inf") else f", {left:.0f} s left"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
