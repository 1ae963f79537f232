import json
import random
from collections.abc import AsyncIterable

import poeproto_compat as fp


class RepairBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        steps = {"chain": "Oil the chain.", "brakes": "Tighten the brakes.", "tyres": "Pump up the tyres."}

        for earlier in request.query:
            if earlier.role == "bot" and earlier.metadata is not None:
                stored = json.loads(earlier.metadata)
                if stored.get("step") is not None:
                    steps.pop(stored["step"])

        if not steps:
            yield fp.PartialResponse(text="There is nothing left to repair.")
            return

        step = random.choice(list(steps.keys()))
        yield fp.PartialResponse(text=steps[step])
        yield fp.DataResponse(
            metadata=json.dumps({"step": step}),
        )


def main():
    return fp.make_app(RepairBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
