"""The Poe server-bot protocol: bytes into events and events into bytes, without any I/O.

An integration, such as `poeproto_asgi` or `poeproto_h11`, moves the bytes. The names that bots, servers and clients
use every day are here. More is public in `poeproto.flows`, `poeproto.http`, `poeproto.auth`, `poeproto.lint`,
`poeproto.schemas`, `poeproto.testing`, `poeproto.conversation`, `poeproto.markdown`, `poeproto.reactions` and
`poeproto.identifiers`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from poeproto._surface import *
    from poeproto._surface import __all__ as __all__
else:
    # PEP 562: all names are loaded when the first one is used. Importing a single module does not load the others, and
    # `import poeproto` alone does not load attrs, cattrs and msgspec.
    def __getattr__(name: str) -> object:
        surface = import_module("poeproto._surface")
        names = getattr(surface, "__all__", ())  # not there yet while the surface itself is being loaded
        if name != "__all__" and name not in names:
            raise import_module("poeproto.name_hints").missing_name(__name__, name)
        globals().update({each: getattr(surface, each) for each in ["__all__", *names]})
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
