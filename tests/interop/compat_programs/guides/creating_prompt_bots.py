import urllib.parse
from collections.abc import AsyncIterable

import poeproto_compat as fp


def train(request: fp.QueryRequest) -> str:
    return f"model-{len(request.query[-1].content)}"


class TrainingBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        model = train(request)
        fields = {"prompt": f"{{user_prompt}} --model {model}", "base_bot": "Inference"}
        query = urllib.parse.urlencode(fields)
        yield fp.PartialResponse(text=f"[Make your bot.](https://poe.com/create_bot?{query})")


def main():
    return fp.make_app(TrainingBot(), allow_without_key=True)
