from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp
from poeproto_compat.client import BotError, MetaMessage, stream_request


class PatientBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        try:
            async for message in stream_request(
                request, "Failing-Model", request.access_key, num_tries=1, on_error=lambda exc, text: print(text)
            ):
                if isinstance(message, MetaMessage):
                    continue
                yield message
        except fp.BotErrorNoRetry as exc:
            yield fp.PartialResponse(text=f"no retry: {'out of paint' in str(exc)}", is_replace_response=True)
        except BotError as exc:
            yield fp.PartialResponse(text=f"retry: {'out of paint' in str(exc)}", is_replace_response=True)

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(server_bot_dependencies={"Failing-Model": 1})


def main():
    return fp.make_app(PatientBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
