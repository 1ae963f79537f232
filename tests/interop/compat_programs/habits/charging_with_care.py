from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class CarefulBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        cost = fp.CostItem(amount_usd_milli_cents=700_000)
        try:
            await self.authorize_cost(request, [cost])
        except fp.InsufficientFundError:
            yield fp.ErrorResponse(text="You need more points.", error_type="insufficient_fund", allow_retry=False)
            return
        yield fp.PartialResponse(text="paid")
        await self.capture_cost(request, cost)


def main():
    return fp.make_app(CarefulBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
