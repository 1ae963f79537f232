from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class Cat(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text="meow")


class Dog(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text="woof")

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(introduction_message="I am a dog.")


def main():
    cat = Cat(path="/cat", access_key="0123456789abcdef0123456789abcdef", bot_name="Cat")
    dog = Dog(path="/dog", access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
    return fp.make_app([cat, dog])
