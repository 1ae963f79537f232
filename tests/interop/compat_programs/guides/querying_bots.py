import asyncio

import poeproto_compat as fp


async def ask(api_key, messages):
    async for partial in fp.get_bot_response(messages=messages, bot_name="Model", api_key=api_key):
        print(partial)


api_key = "an-api-key-of-the-user"
message = fp.ProtocolMessage(role="user", content="Good morning")

asyncio.run(ask(api_key, [message]))
