"""Recordings: the bytes exchanged between a client and a server, read by read, with times, one line of JSON each.

The format, its redaction and the matching of requests need the core alone. `poeproto_record.server` records and replays
over HTTP, with the extra `record`. `docs/recordings.md` documents the format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poeproto.name_hints import missing_name
from poeproto_record import (
    errors,
    exchanges,
    har,
    lines,
    matching,
    reader,
    records,
    redaction,
    schema,
    stream_redactor,
    writer,
)
from poeproto_record.errors import *
from poeproto_record.exchanges import *
from poeproto_record.har import *
from poeproto_record.lines import *
from poeproto_record.matching import *
from poeproto_record.reader import *
from poeproto_record.records import *
from poeproto_record.redaction import *
from poeproto_record.schema import *
from poeproto_record.stream_redactor import *
from poeproto_record.writer import *

if not TYPE_CHECKING:  # a type checker finds missing names by itself

    def __getattr__(name: str) -> object:
        raise missing_name(__name__, name)


__all__: list[str] = []
__all__ += errors.__all__
__all__ += exchanges.__all__
__all__ += har.__all__
__all__ += lines.__all__
__all__ += matching.__all__
__all__ += reader.__all__
__all__ += records.__all__
__all__ += redaction.__all__
__all__ += schema.__all__
__all__ += stream_redactor.__all__
__all__ += writer.__all__
