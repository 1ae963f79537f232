"""A bot that reads the HTTP request of a query: method, path, query parameters, headers, client.

The query parameters of the server URL on Poe can say, for example, which of several bots on Poe is meant.

Serve it with: poeproto serve docs/examples/http_request.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest


class RequestBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        http = context.http_request
        yield f"{http.method} {http.path}\n"
        for name, values in http.query.items():  # https://bots.example/?team=red&team=blue has two values of one name
            yield f"{name}: {', '.join(values)}\n"
        # Read single headers: `http.headers` has all of them, the bot's access key included.
        yield f"asked by {http.get('user-agent') or 'somebody'}"
        # Some servers do not provide it. Behind a proxy, it is the proxy's address.
        yield f" at {http.client[0]}" if http.client is not None else " somewhere"


bot = RequestBot()
