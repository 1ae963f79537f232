"""Checks a bot server from outside: makes requests on purpose, and judges the answers by the rules of `poeproto.lint`.

Theory of operation
===================

A *probe* sends one or several requests over connections of its own, and says of some rules whether the server keeps or
breaks them, with the *exchange*, the raw bytes and their times, as evidence. The *judge* makes one verdict of all that
the probes say about a rule: a rule that any probe saw broken is broken. Replies to queries and settings are also judged
by the lint.

`check` first sends one settings request. If no bot answers it, there is nothing to check. Then the probes run one after
another, cheap ones first and bad input last. A probe whose answer others depend on says that it worked; if it did not,
the rules of the others are untestable. Everything that waits has a timeout. A mistake within a probe becomes the
verdict harness-error, and the other probes run nonetheless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poeproto.extras import missing_extra
from poeproto.name_hints import missing_name

if (_missing := missing_extra(__name__, "check", ["anyio", "h11", "truststore"])) is not None:
    raise _missing

from poeproto_check import baseline, checker, exchange, probe, raw_connection, reports, result, selection
from poeproto_check.baseline import *
from poeproto_check.checker import *
from poeproto_check.exchange import *
from poeproto_check.probe import *
from poeproto_check.raw_connection import *
from poeproto_check.reports import *
from poeproto_check.result import *
from poeproto_check.selection import *

if not TYPE_CHECKING:  # a type checker finds missing names by itself

    def __getattr__(name: str) -> object:
        raise missing_name(__name__, name)


__all__: list[str] = []
__all__ += baseline.__all__
__all__ += checker.__all__
__all__ += exchange.__all__
__all__ += probe.__all__
__all__ += raw_connection.__all__
__all__ += reports.__all__
__all__ += result.__all__
__all__ += selection.__all__
