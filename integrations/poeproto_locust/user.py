"""A user of Locust's who queries a bot."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from locust import User

from poeproto import Attachment, QueryRequest, RetryPolicy
from poeproto_h11 import BlockingClient
from poeproto_locust.load_run import load_run_of
from poeproto_locust.locust_types import events_of
from poeproto_locust.reply_reader import ReplyReader
from poeproto_locust.user_conversation import UserConversation, new_identifier, new_request, user_message
from poeproto_locust.user_reply import UserReply

if TYPE_CHECKING:
    from gevent import Greenlet
    from gevent.pool import Group
    from locust.env import Environment

__all__ = ["PoeUser"]


class PoeUser(User):
    """A user who queries the bot at Locust's `host`: the URL of a bot server.

    Each query fires events of the type `POE` (Locust's `request` event, times in milliseconds):

    - `query` at the end of the reply: its duration, the bytes of the response, and a `ReplyFailed` if it failed;
    - `first_event`: the time from the query to the first event of its reply, and the bytes until then;
    - `gap`: the time between two events, for a share of them, and the length of the second one's text.

    No failure of the bot raises an exception, so a task continues. `LoadRun` has all times, not rounded and not
    sampled.

    Attributes:
        access_key: the key of the bot server; by default the environment variable `POE_ACCESS_KEY`.
        client: the client of this user, with its own connections. No query is repeated, so that each is counted once.
        user_id: this user's identifier in queries.

    Args:
        environment: Locust's environment of the test.
    """

    abstract = True
    access_key: ClassVar[str | None] = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = self.make_client()
        self.user_id = new_identifier("u")
        self._environment = environment
        self._run = load_run_of(environment)

    def make_client(self) -> BlockingClient:
        """The client of this user. Override it for other timeouts, limits, headers or certificates."""
        key = self.access_key or os.environ.get("POE_ACCESS_KEY") or None
        return BlockingClient(access_key=key, retry=RetryPolicy(attempts=1))

    def query(
        self,
        request: QueryRequest | str,
        *,
        parameters: Mapping[str, Any] | None = None,
        attachments: Sequence[Attachment] = (),
        cancel: float | None = None,
        name: str = "query",
    ) -> UserReply:
        """Query the bot, and read the reply to its end.

        Args:
            request: the query, or the text of one user message.
            parameters: of the message, if the request is a text.
            attachments: of the message, if the request is a text.
            cancel: the probability that the reply is closed after its first event; by default that of
                ``--poe-cancel``.
            name: the name of the event in Locust's statistics. With another one, the other events are
                ``NAME first_event`` and ``NAME gap``.

        Raises:
            LocalProtocolError: for a request that cannot be sent.
            ValueError: when there is no host, and for parameters or attachments beside a whole request.
        """
        if isinstance(request, str):
            request = new_request([user_message(request, parameters, attachments)], self.user_id)
        elif parameters or attachments:
            raise ValueError("parameters and attachments belong to a message: put them into the request's last one")
        return self._send(request, name, cancel)

    def conversation(self) -> UserConversation:
        """A new conversation, whose queries carry the turns before them."""
        return UserConversation(self._send, self.user_id)

    def start(self, group: Group) -> Greenlet[..., Any]:
        """Start the user; called by Locust. When it has ended, its connections are closed."""
        greenlet = cast("Greenlet[..., Any]", super().start(group))

        def close_client(_: Greenlet[..., Any]) -> None:
            self.client.close()

        greenlet.link(close_client)
        return greenlet

    def _send(self, request: QueryRequest, name: str, cancel: float | None = None) -> UserReply:
        if not self.host:
            raise ValueError("there is no bot to query: give its URL with --host, or as `host` of the class")
        share = self._run.options.cancel if cancel is None else cancel
        context = cast("dict[str, Any]", self.context())  # pyright: ignore[reportUnknownMemberType]
        reader = ReplyReader(
            self._run,
            events_of(self._environment).request,
            context,
            self.host,
            name,
            is_cancelled=random.random() < share,
        )
        return reader.read(self.client, request)
