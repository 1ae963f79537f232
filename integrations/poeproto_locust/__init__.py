"""Load on bots with Locust: a user that queries a bot, on as many workers and machines as Locust has.

Importing this package imports Locust, which makes the standard library cooperative (gevent's monkey patches). So import
it in a locustfile only. `docs/howto/load_test.md` shows how to run one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poeproto.extras import missing_extra
from poeproto.name_hints import missing_name

if (_missing := missing_extra(__name__, "locust", ["locust", "anyio", "h11", "truststore"])) is not None:
    raise _missing

from poeproto_locust import failures, load_run, tally, user, user_conversation, user_reply
from poeproto_locust.failures import *
from poeproto_locust.load_run import *
from poeproto_locust.tally import *
from poeproto_locust.user import *
from poeproto_locust.user_conversation import *
from poeproto_locust.user_reply import *

if not TYPE_CHECKING:  # a type checker finds missing names by itself

    def __getattr__(name: str) -> object:
        raise missing_name(__name__, name)


__all__: list[str] = []
__all__ += failures.__all__
__all__ += load_run.__all__
__all__ += tally.__all__
__all__ += user.__all__
__all__ += user_conversation.__all__
__all__ += user_reply.__all__
