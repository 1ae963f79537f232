"""Application under measurement: fastapi_poe's bot of `benchmarks.peers`, under poeproto_compat."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import poeproto_compat as fp
from benchmarks.apps import PAUSES, Sleep, text_of, wish_of
from benchmarks.processes import ACCESS_KEY
from poeproto_compat.app import PoeApp


class CompatBot(fp.PoeBot):
    def __init__(self, sleep: Sleep) -> None:
        super().__init__()
        self._sleep = sleep

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterator[fp.PartialResponse]:
        manner, count = wish_of(request.query[-1].content)
        if manner == "burst":
            for number in range(count):
                yield fp.PartialResponse(text=text_of(number))
        elif manner in PAUSES:
            for number in range(count):
                if number:
                    await self._sleep(PAUSES[manner])
                yield fp.PartialResponse(text=text_of(number))
        else:
            yield fp.PartialResponse(text=text_of(0))
            await self._sleep(3600)


def compat(sleep: Sleep) -> PoeApp:
    logging.disable(logging.WARNING)  # it warns that settings are not synced, which is intended here
    app = fp.make_app(CompatBot(sleep), allow_without_key=True)
    logging.disable(logging.NOTSET)
    return app


class CompatRelay(fp.PoeBot):
    """Passes another bot's reply on."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterator[fp.PartialResponse]:
        async for message in fp.stream_request(request, "", ACCESS_KEY, base_url=self._source):
            yield message


def compat_relay(source: str) -> PoeApp:
    """A relay whose source is at that URL."""
    logging.disable(logging.WARNING)  # as above
    app = fp.make_app(CompatRelay(source), allow_without_key=True)
    logging.disable(logging.NOTSET)
    return app
