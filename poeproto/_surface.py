"""The names of `poeproto` itself: those that bots, servers and clients use every day.

Each module lists its public names in its own `__all__`; this module lists the modules, as `asyncio` does. `poeproto`
loads it when the first name is used.
"""

from __future__ import annotations

from poeproto import bot, limits
from poeproto.bot import *
from poeproto.exchange import bot_exchange, poe_exchange, reply, states
from poeproto.exchange.bot_exchange import *
from poeproto.exchange.poe_exchange import *
from poeproto.exchange.reply import *
from poeproto.exchange.states import *
from poeproto.flows import retry
from poeproto.flows.retry import *
from poeproto.limits import *
from poeproto.vocabulary import (
    controls,
    costs,
    endpoints,
    errors,
    events,
    http,
    http_request,
    messages,
    requests,
    settings,
    tools,
)
from poeproto.vocabulary.controls import *
from poeproto.vocabulary.costs import *
from poeproto.vocabulary.endpoints import *
from poeproto.vocabulary.errors import *
from poeproto.vocabulary.events import *
from poeproto.vocabulary.http import *
from poeproto.vocabulary.http_request import *
from poeproto.vocabulary.messages import *
from poeproto.vocabulary.requests import *
from poeproto.vocabulary.settings import *
from poeproto.vocabulary.tools import *
from poeproto.wire import codec, sse
from poeproto.wire.codec import *
from poeproto.wire.sse import *

__all__: list[str] = []
__all__ += bot.__all__
__all__ += bot_exchange.__all__
__all__ += poe_exchange.__all__
__all__ += reply.__all__
__all__ += states.__all__
__all__ += retry.__all__
__all__ += limits.__all__
__all__ += controls.__all__
__all__ += costs.__all__
__all__ += endpoints.__all__
__all__ += errors.__all__
__all__ += events.__all__
__all__ += http.__all__
__all__ += http_request.__all__
__all__ += messages.__all__
__all__ += requests.__all__
__all__ += settings.__all__
__all__ += tools.__all__
__all__ += codec.__all__
__all__ += sse.__all__
