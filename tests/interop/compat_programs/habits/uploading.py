import asyncio
import io
import os
import tempfile

import poeproto_compat as fp

api_key = "an-api-key-of-the-user"


async def upload_all() -> None:
    first = await fp.upload_file(b"a,b\n1,2\n", file_name="table.csv", api_key=api_key)
    print(first.name, first.content_type)
    second = await fp.upload_file(file_url=first.url, file_name="copy.csv", api_key=api_key)
    print(second)
    message = fp.ProtocolMessage(role="user", content="What is in it?", attachments=[first, second])
    async for partial in fp.get_bot_response(messages=[message], bot_name="Model", api_key=api_key):
        print(partial.text)


asyncio.run(upload_all())
path = os.path.join(tempfile.mkdtemp(), "notes.txt")
with open(path, "w") as file:
    file.write("naïve")
with open(path, "rb") as file:
    print(fp.upload_file_sync(file, api_key=api_key).name)
print(fp.upload_file_sync(io.BytesIO(b"\x89PNG\r\n\x1a\n"), file_name="dot.png", api_key=api_key).content_type)
try:
    fp.upload_file_sync(b"no name", api_key=api_key)
except ValueError:
    print("it has no name")
