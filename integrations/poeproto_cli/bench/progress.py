"""Progress of a measurement, in a line of standard error that is written again and again; nothing in a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import click

from poeproto_cli.bench.plan import Plan
from poeproto_load import LoadResult

_CLEAR = "\r\x1b[K"


class ProgressLine:
    """The line. `clear` removes it, before anything else is printed."""

    def __init__(self) -> None:
        self._is_shown = False

    def follow(self, what: str, plan: Plan) -> Callable[[LoadResult, float], None] | None:
        """A function that shows the progress of a measurement: called with the result so far and the seconds since its
        start; None in a pipe.
        """
        if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            return None

        def show(result: LoadResult, seconds: float) -> None:
            if seconds < 0:
                line = f"{what}: warm-up, {-seconds:.0f} s of {plan.lead:g} s left"
            else:
                of = "" if plan.duration is None else f" of {plan.duration:g} s"
                line = f"{what}: {seconds:.0f} s{of}, {result.replies:,} replies"
                if result.failed:
                    line += f", {result.failed:,} failed"
                if result.total.count:
                    median, p99 = result.total.quantile(0.5), result.total.quantile(0.99)
                    line += f", p50 {median * 1e3:,.1f} ms, p99 {p99 * 1e3:,.1f} ms"
            width = _width()
            click.echo(f"{_CLEAR}{line[:width]}", nl=False, err=True)
            self._is_shown = True

        return show

    def clear(self) -> None:
        """Remove the line."""
        if self._is_shown:
            click.echo(_CLEAR, nl=False, err=True)
            self._is_shown = False


def _width() -> int:
    try:
        return max(20, (os.get_terminal_size(sys.stderr.fileno()).columns or 80) - 1)
    except OSError:
        return 79


__all__ = ["ProgressLine"]
