"""Calls of several steps, sans-IO: queries with retries, tool rounds, uploads, costs and the settings sync.

A flow is a generator that yields effects, such as `SendRequest` or `Wait`, and is sent their outcomes; `calls` explains
how to drive one. The functions that make a request or read a response are here too, for those who need no flow.
`PartialReply` and `Answer` are the reply so far, which every error of a flow carries. `SurrogateJoiner` joins halves of
characters that bots written in JavaScript send in two texts; it is for those who write texts in another form.
"""

from __future__ import annotations

from poeproto.flows import calls, costs, queries, retry, settings_sync, tools, uploads
from poeproto.flows.calls import *
from poeproto.flows.costs import *
from poeproto.flows.queries import *
from poeproto.flows.retry import *
from poeproto.flows.settings_sync import *
from poeproto.flows.tools import *
from poeproto.flows.uploads import *
from poeproto.vocabulary import answer
from poeproto.vocabulary.answer import *
from poeproto.wire import surrogates
from poeproto.wire.surrogates import *

__all__: list[str] = []
__all__ += answer.__all__
__all__ += calls.__all__
__all__ += costs.__all__
__all__ += queries.__all__
__all__ += retry.__all__
__all__ += settings_sync.__all__
__all__ += tools.__all__
__all__ += uploads.__all__
__all__ += surrogates.__all__
