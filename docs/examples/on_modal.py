"""A bot on a serverless host, here Modal, which runs an ASGI application as any server does.

Deploy it, from the root of a checkout, with: modal deploy docs/examples/on_modal.py
after `modal secret create poe POE_ACCESS_KEY=...`. Without Modal, serve it with:
poeproto serve docs/examples/on_modal.py:bot --access-key ...
"""

import importlib
import importlib.util
import os
from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest
from poeproto_asgi import BotApp


class ParrotBot(Bot):
    # Keep no state in the process: the host may replace it between two messages.
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield f"{request.query[-1].content} {request.query[-1].content}"


bot = ParrotBot()


def make_app() -> BotApp:
    return BotApp(bot, access_key=os.environ["POE_ACCESS_KEY"])


# A file for Modal alone can `import modal` and needs no condition.
if importlib.util.find_spec("modal") is not None:
    modal = importlib.import_module("modal")
    image = (
        modal.Image.debian_slim(python_version="3.13")
        .add_local_dir(".", "/poeproto", copy=True, ignore=[".git", ".venv*"])
        .run_commands("python -m pip install '/poeproto[asgi]'")
    )
    app = modal.App("parrot", image=image, secrets=[modal.Secret.from_name("poe")])

    @app.function()
    @modal.concurrent(max_inputs=100)  # one process can answer many queries at once, because a bot mostly waits
    @modal.asgi_app()
    def serve() -> BotApp:
        return make_app()
