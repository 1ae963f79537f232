from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp

PRICE = 400_000


class ExpensiveBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        await self.authorize_cost(request, fp.CostItem(amount_usd_milli_cents=PRICE, description="at most"))
        yield fp.PartialResponse(text="done")
        await self.capture_cost(
            request,
            [
                fp.CostItem(amount_usd_milli_cents=PRICE - 1, description="work"),
                fp.CostItem(amount_usd_milli_cents=1, description="tip"),
            ],
        )

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(rate_card="A message costs [usd_milli_cents=400000].", cost_label="4 $")


def main():
    return fp.make_app(ExpensiveBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
