# A cell of IPython, where `await` and `async for` are allowed at the top level; here they are in a function.
import poeproto_compat as fp


async def cell():
    message = fp.ProtocolMessage(role="user", content="Good morning")
    async for partial in fp.get_bot_response(messages=[message], bot_name="Model", api_key="an-api-key-of-the-user"):
        print(partial)
