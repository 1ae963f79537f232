"""The limit of open files of this process: each connection is one."""

from __future__ import annotations

import logging
from contextlib import suppress

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None

__all__ = ["raise_open_files"]

logger = logging.getLogger("poeproto")

# The number that `docs/howto/many_streams.md` advises, and larger ones; systems without a limit refuse some of these.
_WANTED = (1_048_576, 65_536, 10_240)
# A server with fewer cannot hold thousands of streams.
_FEW = 4096


def raise_open_files() -> None:
    """Raise the soft limit of open files to the hard one, and log a warning if that is low.

    The soft limit is 1,024 by default, for programs that use `select`; a server that reaches it accepts no more
    connections, and uvloop resets them.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    for wanted in _WANTED:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if limit > soft:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
                soft = limit
                break
    if soft < _FEW:
        logger.warning(
            "this process may open %d files, so it serves fewer connections than that; raise the hard limit for more"
            " (ulimit -Hn, LimitNOFILE of systemd)",
            soft,
        )
