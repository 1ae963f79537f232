"""Command-line options that the package adds to Locust's.

Locust sends a master's options to its workers, so their values are plain strings and numbers. There is no access key
among them: a worker reads its own from the environment.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any

import attrs

from poeproto_load import SLO, parse_slo
from poeproto_locust.locust_types import ArgumentParser

if TYPE_CHECKING:
    from locust.env import Environment

# Every how many gaps one becomes a request event of Locust's. The histogram has them all.
_GAP_SHARE = 0.02


@attrs.frozen
class LoadOptions:
    """The options of a run.

    Attributes:
        slo: the objectives; None if there are none.
        cancel: the share of the replies that users close early, from 0 to 1.
        gap_share: the share of the gaps that are fired as `POE gap`.
        json_path: the file that the tally is written to at the end; None for none.
    """

    slo: SLO | None = None
    cancel: float = 0.0
    gap_share: float = _GAP_SHARE
    json_path: str | None = None


def add_options(parser: ArgumentParser, **_: object) -> None:
    """Add the options to Locust's command line. A listener of `init_command_line_parser`."""
    add = parser.add_argument
    add(
        "--poe-slo",
        type=_slo,
        metavar="SLO",
        env_var="LOCUST_POE_SLO",
        help="Objectives for each reply, as first_event:200ms,gap:50ms,total:5s,goodput:99%%. The exit status is 1 if "
        "fewer replies meet them, and 0 otherwise, whatever has failed.",
    )
    add(
        "--poe-cancel",
        type=parse_share,
        default=0.0,
        metavar="SHARE",
        env_var="LOCUST_POE_CANCEL",
        help="Close this share of the replies after their first event, as users do who press stop: 5%%.",
    )
    add(
        "--poe-gap-share",
        type=parse_share,
        default=_GAP_SHARE,
        metavar="SHARE",
        env_var="LOCUST_POE_GAP_SHARE",
        help=f"Show this share of the gaps as POE gap in Locust's statistics. Default: {_GAP_SHARE:.0%}%.",
    )
    add(
        "--poe-json",
        metavar="FILE",
        env_var="LOCUST_POE_JSON",
        include_in_web_ui=False,
        help="Write the counts and histograms of all workers to this file at the end.",
    )


def options_of(environment: Environment) -> LoadOptions:
    """The options of a run. An environment without a command line has the defaults."""
    parsed: Any = environment.parsed_options
    slo: str | None = getattr(parsed, "poe_slo", None)
    return LoadOptions(
        slo=parse_slo(slo) if slo else None,
        cancel=getattr(parsed, "poe_cancel", 0.0),
        gap_share=getattr(parsed, "poe_gap_share", _GAP_SHARE),
        json_path=getattr(parsed, "poe_json", None) or None,
    )


def parse_share(text: str) -> float:
    """A share from 0 to 1, written in per cent: "5%".

    Raises:
        ArgumentTypeError: for another text.
    """
    try:
        percent = float(text.removesuffix("%")) if text.endswith("%") else -1.0
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise ArgumentTypeError(f"{text!r} is not a share; expected per cent from 0% to 100%, as 5%")
    return percent / 100


def _slo(text: str) -> str:
    try:
        parse_slo(text)
    except ValueError as exc:
        raise ArgumentTypeError(str(exc)) from None
    return text
