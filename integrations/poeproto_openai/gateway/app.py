"""The gateway as an ASGI 3 application."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import attrs

from poeproto import Endpoints, Limits
from poeproto_asgi import BotApp
from poeproto_h11 import ExtraHeaders, HeadersOfCall, ProxyOption, make_outbound
from poeproto_openai.chat.exchange import OnReplace, ReplyOptions
from poeproto_openai.chat.usage import CountTokens, UsageSource, tiktoken_counter
from poeproto_openai.gateway.keys import GatewayKeys
from poeproto_openai.gateway.models import GatewayBot, Models
from poeproto_openai.gateway.origins import AllowedOrigins
from poeproto_openai.gateway.service import GatewayService
from poeproto_runtime import CallHooks, FetchPolicy, Hook, Hooks

__all__ = ["OpenAIGateway"]


class OpenAIGateway(BotApp):
    """Poe bots as an OpenAI-compatible endpoint: an ASGI application, for any ASGI server.

    It is a `BotApp` for everything but the form of requests and replies: `poeproto_asgi.serve`, `poeproto_asgi.run` and
    `poeproto_h11.serve` serve it, and its `lifespan` and `stop_streams` are the same. Clients take as their base URL
    that of the application with ``/v1``.

    Args:
        bots: the bots by the names that clients ask for: a bot or a `Route` in this process, the URL of a bot server,
            ``poe:NAME`` for a bot on Poe, or an `UpstreamBot`, which also has a key.
        api_keys: the keys that callers have.
        allow_without_key: accept requests without a key.
        allow_origins: the origins of the web pages that may call the gateway, as in "https://app.example.com"; "*" for
            any. Without them, a browser lets no page read a reply, and `allow_without_key` excludes pages.
        poe: whether every other model is the bot of that name on Poe.
        poe_key: the key to call bots on Poe with. Without it, they are called with the key of the caller, which then
            needs to be none of `api_keys`.
        on_replace: what a stream does with a `replace_response` whose text does not extend what was sent: "append"
            sends the new text after the old one; "hold" holds all text until the end of every reply.
        usage: where the usage comes from: "none", "bot" (what the bot says), or "estimate" (counted from the texts).
        count_tokens: counts the tokens of a text, for an estimate; by default tiktoken does, if it is installed.
        reasoning: whether reasoning is sent to clients that do not ask for it with ``include_reasoning``.
        limits: the bounds of every exchange. By default, a reply may be longer than Poe allows.
        endpoints: where Poe is.
        fetch_policy: which URLs the bots in this process may fetch; None for none.
        proxy: the proxy of outbound calls, as of `poeproto_h11.Client`.
        on_start: as of `BotApp`, and so are the next four.
        on_first_event: see there.
        on_end: see there.
        call_hooks: see there.
        call_headers: see there.

    Raises:
        TypeError, ValueError: for bots or keys that cannot be used, and when nobody could ask.
        ModuleNotFoundError: for an estimate without tiktoken and `count_tokens`.
    """

    def __init__(
        self,
        bots: Mapping[str, GatewayBot],
        *,
        api_keys: str | Iterable[str] | None = None,
        allow_without_key: bool = False,
        allow_origins: str | Iterable[str] = (),
        poe: bool = False,
        poe_key: str | None = None,
        on_replace: OnReplace = "append",
        usage: UsageSource = "none",
        count_tokens: CountTokens | None = None,
        reasoning: bool = False,
        limits: Limits | None = None,
        endpoints: Endpoints | None = None,
        fetch_policy: FetchPolicy | None = None,
        proxy: ProxyOption = None,
        on_start: Hook | None = None,
        on_first_event: Hook | None = None,
        on_end: Hook | None = None,
        call_hooks: CallHooks | None = None,
        call_headers: ExtraHeaders | HeadersOfCall | None = None,
    ) -> None:
        models = Models(bots, any_on_poe=poe, created=int(time.time()))
        keys = GatewayKeys(api_keys, allow_without_key=allow_without_key, poe_key=poe_key, uses_poe=models.uses_poe)
        if usage == "estimate" and count_tokens is None:
            count_tokens = tiktoken_counter()
        options = ReplyOptions(on_replace=on_replace, usage=usage, count_tokens=count_tokens, reasoning=reasoning)
        limits = limits or _without_poes_limits()
        outbound = make_outbound(
            limits, endpoints, fetch_policy=fetch_policy, proxy=proxy, hooks=call_hooks, headers=call_headers
        )
        hooks = Hooks(on_start=on_start, on_first_event=on_first_event, on_end=on_end)
        self.service = GatewayService(models, keys, AllowedOrigins(allow_origins), options, limits, outbound, hooks)


def _without_poes_limits() -> Limits:
    """The default limits; but a reply may be as long as one that is read."""
    limits = Limits()
    return attrs.evolve(limits, events=limits.answer_events, text_length=limits.answer_size)
