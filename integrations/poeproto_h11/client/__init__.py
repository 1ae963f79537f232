"""The client over h11, on asyncio, trio and blocking sockets."""

from __future__ import annotations

from poeproto_h11.client import backend, blocking, client, connection, outbound, proxy, shortcuts, timeouts
from poeproto_h11.client.backend import *
from poeproto_h11.client.blocking import *
from poeproto_h11.client.client import *
from poeproto_h11.client.connection import *
from poeproto_h11.client.outbound import *
from poeproto_h11.client.proxy import *
from poeproto_h11.client.shortcuts import *
from poeproto_h11.client.timeouts import *

__all__: list[str] = []
__all__ += backend.__all__
__all__ += blocking.__all__
__all__ += client.__all__
__all__ += connection.__all__
__all__ += outbound.__all__
__all__ += proxy.__all__
__all__ += shortcuts.__all__
__all__ += timeouts.__all__
