import asyncio
from unittest.mock import patch

import poeproto_compat as fp


class ModelBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest):
        async for message in fp.stream_request(request, "Model", request.access_key):
            yield fp.PartialResponse(text=message.text.upper())


async def fake_stream(request, bot_name, api_key, **options):
    yield fp.PartialResponse(text=f"{bot_name} {api_key} ")
    yield fp.PartialResponse(text=request.query[-1].content)


def make_request(text):
    return fp.QueryRequest(
        version="1.0",
        type="query",
        query=[fp.ProtocolMessage(role="user", content=text)],
        user_id="u-1",
        conversation_id="c-1",
        message_id="m-1",
        access_key="a-key",
    )


async def test_bot():
    return [message.text async for message in ModelBot().get_response(make_request("hello"))]


async def test_records():
    context = fp.RequestContext.model_construct(http_request=None)
    return [(event.event, event.data) async for event in ModelBot().handle_query(make_request("hello"), context)]


with patch.object(fp, "stream_request", fake_stream):
    print(asyncio.run(test_bot()))
    for name, data in asyncio.run(test_records()):
        print(name, data)
