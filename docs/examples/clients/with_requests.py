"""A client of bots on requests, with the core's flows: retries and errors are the core's, the I/O is requests'.

Run it: python docs/examples/clients/with_requests.py http://127.0.0.1:8080/ "hello there"
"""

import os
import sys
import time
from collections.abc import Iterator

import requests
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError

from poeproto import (
    BotError,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    Error,
    Event,
    HttpRequest,
    Message,
    PoeprotoError,
    QueryRequest,
    ResponseHead,
    Text,
)
from poeproto.flows import (
    CloseResponse,
    Deliver,
    Effect,
    Flow,
    ReceiveData,
    ReplyStarted,
    SendRequest,
    Wait,
    query_flow,
)


class FlowDriver:
    """Performs the effects of one flow with a session of requests."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self._response: requests.Response | None = None
        self._body: Iterator[bytes] = iter(())

    def run(self, flow: Flow[object]) -> Iterator[Event]:
        """The events that the flow delivers, as they arrive."""
        try:
            effect = next(flow)
            while True:
                if isinstance(effect, Deliver):
                    yield from effect
                    effect = flow.send(None)
                    continue
                try:
                    outcome = self.perform(effect)
                except PoeprotoError as exc:
                    effect = flow.throw(exc)  # the flow decides: it retries, or raises
                else:
                    effect = flow.send(outcome)
        except StopIteration:
            pass
        finally:
            flow.close()
            self.close()

    def perform(self, effect: Effect) -> object:
        match effect:
            case SendRequest(request):
                return self.send(request)
            case ReceiveData():
                return self.receive()
            case CloseResponse():
                return self.close()
            case ReplyStarted():
                return None  # for clients that show when a reply begins
            case Wait(seconds):
                return time.sleep(seconds)
            case _:
                raise TypeError(f"no flow of a query has this effect: {effect!r}")

    def send(self, request: HttpRequest) -> ResponseHead:
        self.close()
        assert isinstance(request.body, bytes)  # only uploads are streamed
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        try:
            response = self._session.request(
                request.method,
                request.url,
                headers=headers,
                data=request.body,
                stream=True,
                timeout=(10, 60),  # seconds to connect, and without a byte of the reply
                allow_redirects=False,
            )
        except requests.Timeout as exc:
            raise DeadlineExceeded(f"no connection to {request.url} within 10 s, or no answer within 60 s") from exc
        except requests.ConnectionError as exc:
            if isinstance(getattr(exc.args[0], "reason", None), NewConnectionError):
                raise ConnectFailed(f"no connection to {request.url}: {exc}") from exc
            # The server may have received the request: the flow does not repeat it.
            raise ConnectionLost(f"{request.url} has disconnected: {exc}") from exc
        self._response = response
        # `read1` returns what has arrived. `iter_content` waits until it has as much as it was asked for.
        self._body = iter(lambda: response.raw.read1(65536), b"")
        return ResponseHead(response.status_code, list(response.headers.items()))

    def receive(self) -> bytes | None:
        try:
            return next(self._body, None)
        except ReadTimeoutError as exc:
            raise DeadlineExceeded("the bot has sent nothing for 60 s") from exc
        except (OSError, HTTPError) as exc:  # requests lets these of urllib3 propagate
            raise ConnectionLost(f"the connection broke within the reply: {exc}") from exc

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


def main(url: str, text: str) -> None:
    flow = query_flow(QueryRequest([Message("user", text)]), url, access_key=os.environ["POE_ACCESS_KEY"])
    with requests.Session() as session:
        for event in FlowDriver(session).run(flow):
            if isinstance(event, Text):
                print(event.text, end="", flush=True)
            elif isinstance(event, Error):
                raise BotError(event)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
