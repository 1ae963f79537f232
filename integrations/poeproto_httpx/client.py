"""The client over httpx: calls bots and Poe through an `httpx.AsyncClient`, and streams replies."""

from __future__ import annotations

from poeproto import Endpoints, Limits, RetryPolicy
from poeproto_httpx.transport import HttpxTransport, Session
from poeproto_runtime.client.call_hooks import CallHook, CallHooks, EventHook
from poeproto_runtime.client.client_base import AsyncClientBase
from poeproto_runtime.client.extra_headers import ExtraHeaders, HeadersOfCall
from poeproto_runtime.client.tools import ToolRunner
from poeproto_runtime.client.uploads import in_worker_thread

__all__ = ["HttpxClient"]


class HttpxClient(AsyncClientBase):
    """Calls bots and Poe through an `httpx.AsyncClient`, with its proxies, headers, event hooks and timeouts.

    The methods are those of `poeproto_h11.Client`, which is several times faster for replies in many small parts. There
    is nothing to close: the session is, and stays, the caller's.

    Args:
        session: an `httpx.AsyncClient`, or a client of its form. Disable or prolong its read timeout, which is 5
            seconds by default: models may think for longer.
        api_key: the key for bots called by name. It is sent to Poe's own origin only.
        access_key: the key for bots called by URL, unless a call has its own; also the bot's own key for uploads, costs
            and changes of settings.
        endpoints: the URLs of Poe.
        limits: the bounds of every exchange.
        retry: when a call is retried; by default once, and only if nothing can have been done.
        headers: extra headers of every request, as of `poeproto_h11.Client`; besides those of the session.
        on_start: called when a call starts; this and the next three are as of `poeproto_h11.Client`.
        on_first_event: called when the first event of a reply has been received.
        on_event: called with each event of a reply.
        on_end: called when a call that has started has ended, however it ended.

    Every method raises `LocalProtocolError` for a name, URL, key or request that cannot be sent, `TransportError` when
    a connection fails, and `RequestRefused` for an answer with another status than 200. Exceptions of event hooks
    propagate unchanged.
    """

    def __init__(
        self,
        session: Session,
        api_key: str | None = None,
        *,
        access_key: str | None = None,
        endpoints: Endpoints | None = None,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        on_start: CallHook | None = None,
        on_first_event: CallHook | None = None,
        on_event: EventHook | None = None,
        on_end: CallHook | None = None,
    ) -> None:
        super().__init__(
            HttpxTransport(session, limits),
            in_worker_thread,
            ToolRunner,
            api_key=api_key,
            access_key=access_key,
            endpoints=endpoints,
            limits=limits,
            retry=retry,
            headers=headers,
            hooks=CallHooks(on_start=on_start, on_first_event=on_first_event, on_event=on_event, on_end=on_end),
        )
