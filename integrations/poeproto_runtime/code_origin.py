"""The origin of a file's code: ours, a library's, or else a bot's. For logs that name a line of the bot."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import poeproto

_CORE = str(Path(poeproto.__file__).parent) + os.sep
_RUNTIME = str(Path(__file__).parent) + os.sep
# The runtime, and the packages beside it: poeproto_asgi, poeproto_h11 and so on.
_OURS = (_CORE, str(Path(__file__).parent.parent / "poeproto_"))
_LIBRARIES = (
    "<frozen ",
    "<attrs generated ",
    *{sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")},
)


def is_core(file: str) -> bool:
    """Whether it is code of the core, which calls no bot."""
    return file.startswith(_CORE)


def is_runtime(file: str) -> bool:
    """Whether it is code of the runtime, which calls bots."""
    return file.startswith(_RUNTIME)


def is_ours(file: str) -> bool:
    """Whether it is code of the core or of an integration."""
    return file.startswith(_OURS)


def is_library(file: str) -> bool:
    """Whether it is code of Python or of an installed package, or code that they generate."""
    return file.startswith(_LIBRARIES)
