"""A bot that looks at the HTTP request with which it was asked: method, path, query, headers, client.

The query of the address that Poe was told can tell, for instance, which of several bots on Poe is meant.

Serve it with: poeproto serve docs/examples/http_request.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest


class RequestBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        http = context.http_request
        yield f"{http.method} {http.path}\n"
        for name, values in http.query.items():  # https://bots.example/?team=red&team=blue has two of one name
            yield f"{name}: {', '.join(values)}\n"
        # One header by its name: `http.headers` has all, but among them is the bot's access key.
        yield f"asked by {http.get('user-agent') or 'somebody'}"
        # Some servers do not know it, and behind a proxy it is the proxy's.
        yield f" at {http.client[0]}" if http.client is not None else " somewhere"


bot = RequestBot()
