from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable
from typing import Optional

import poeproto_compat as fp
from poeproto_compat import PoeBot
from poeproto_compat.types import PartialResponse, QueryRequest, SettingsRequest, SettingsResponse


class Counting:
    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.count = 0

    def step(self) -> int:
        self.count += 1
        return self.count


class Answering(ABC):
    name: Optional[str] = None  # noqa: UP045 - as programs write it

    @abstractmethod
    def answer(self, text: str) -> str: ...


class CombinedBot(Counting, PoeBot, Answering):
    name = "combined"
    allow_attachments = True

    def __init__(self, prefix: str, **options) -> None:
        super().__init__(**options)
        self.prefix = prefix

    def answer(self, text: str) -> str:
        return f"{self.prefix} {text} {self.step()}"

    async def get_response(self, request: QueryRequest) -> AsyncIterable[PartialResponse]:
        if request.query[-1].content == "default":
            async for event in super().get_response(request):
                yield event  # pyright: ignore[reportReturnType] - an event made by text_event
            return
        yield PartialResponse(text=self.answer(request.query[-1].content))

    async def get_settings(self, setting: SettingsRequest) -> SettingsResponse:
        settings = await super().get_settings(setting)
        settings.allow_attachments = self.allow_attachments
        return settings


def main():
    bot = CombinedBot("you said", access_key="0123456789abcdef0123456789abcdef")
    return fp.make_app(bot, bot_name="Program")
