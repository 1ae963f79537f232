from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass, field

import poeproto_compat as fp


@dataclass
class ConfiguredBot(fp.PoeBot):
    greeting: str = "hello"
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.words.append(self.greeting)

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        self.words.append(request.query[-1].content)
        yield fp.PartialResponse(text=f"{self.bot_name}: {' '.join(self.words)}")


def main():
    bot = ConfiguredBot(greeting="moin", access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
    return fp.make_app(bot)
