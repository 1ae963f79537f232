"""HTTP for authors of an integration: messages, headers, bodies in parts, rate limits, and values that logs may show.

`refusal` makes the error for a response with another status than 200. Bearer keys are in `poeproto.auth`.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

from collections.abc import Mapping

from poeproto.exchange import refusals
from poeproto.exchange.refusals import *
from poeproto.vocabulary import (
    endpoints,
    headers,
    http,
    http_request,
    rate_limits,
    repr_redaction,
    secret_spellings,
    streamed_body,
)
from poeproto.vocabulary.endpoints import *
from poeproto.vocabulary.headers import *
from poeproto.vocabulary.http import *
from poeproto.vocabulary.http_request import *
from poeproto.vocabulary.rate_limits import *
from poeproto.vocabulary.repr_redaction import *
from poeproto.vocabulary.secret_spellings import *
from poeproto.vocabulary.streamed_body import *

# The schemes of HTTP (RFC 9110, 4.2).
DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
"""The default TCP port of each URL scheme."""

__all__: list[str] = ["DEFAULT_PORTS"]
__all__ += endpoints.__all__
__all__ += headers.__all__
__all__ += http.__all__
__all__ += http_request.__all__
__all__ += rate_limits.__all__
__all__ += repr_redaction.__all__
__all__ += secret_spellings.__all__
__all__ += refusals.__all__
__all__ += streamed_body.__all__
