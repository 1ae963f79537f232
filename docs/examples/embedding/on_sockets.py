"""A bot on plain sockets, a thread a connection, with the core and h11.

Run it: POE_ACCESS_KEY=... python docs/examples/embedding/on_sockets.py
"""

import os
import socket
import sys
import threading
import uuid
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import h11

from poeproto import (
    BotExchange,
    Done,
    Event,
    HttpResponse,
    QueryRequest,
    RemoteProtocolError,
    Request,
    RequestHead,
    SettingsRequest,
    SettingsResponse,
    Text,
)

KEYS = {os.environ["POE_ACCESS_KEY"]}
INDEX = HttpResponse(200, [("content-type", "text/plain")], b"A Poe bot answers here.\n")


def answer(request: QueryRequest) -> Generator[str]:
    for word in request.query[-1].content.split():
        yield f"{word.upper()} "
    yield "!"


def serve_connection(sock: socket.socket) -> None:
    sock.settimeout(20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)  # without it, an event can wait 40 ms
    connection = h11.Connection(h11.SERVER)
    with sock:
        try:
            while connection.our_state is h11.IDLE:
                serve_request(sock, connection)
                if connection.our_state is connection.their_state is h11.DONE:
                    connection.start_next_cycle()
        except (OSError, h11.RemoteProtocolError) as exc:
            print(f"a connection ended: {exc}", file=sys.stderr)


def next_event(sock: socket.socket, connection: h11.Connection) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(sock.recv(65536))
    return event


def serve_request(sock: socket.socket, connection: h11.Connection) -> None:
    head = next_event(sock, connection)
    if not isinstance(head, h11.Request):
        connection.send(h11.ConnectionClosed())  # the client has closed the connection
        return
    if head.method in (b"GET", b"HEAD"):
        while not isinstance(next_event(sock, connection), h11.EndOfMessage):
            pass
        send_response(sock, connection, INDEX, has_body=head.method == b"GET")
        return
    exchange = BotExchange(KEYS)
    try:
        request = receive_request(sock, connection, exchange, head)
    except RemoteProtocolError as exc:
        assert exc.response is not None
        send_response(sock, connection, exc.response)
        return
    if isinstance(request, QueryRequest):
        stream(sock, connection, exchange, request)
    else:
        is_settings = isinstance(request, SettingsRequest)
        send_response(sock, connection, exchange.answer(SettingsResponse() if is_settings else None))


def receive_request(
    sock: socket.socket, connection: h11.Connection, exchange: BotExchange, head: h11.Request
) -> Request:
    exchange.receive_head(RequestHead(head.method.decode("ascii"), head.target.decode("latin-1"), list(head.headers)))
    if connection.they_are_waiting_for_100_continue:
        sock.sendall(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
    while isinstance(event := next_event(sock, connection), h11.Data):
        exchange.receive_data(bytes(event.data))
    return exchange.receive_eof()


def send_response(
    sock: socket.socket, connection: h11.Connection, response: HttpResponse, *, has_body: bool = True
) -> None:
    headers = [(name, value) for name, value in response.headers if name != b"content-length"]
    headers.append((b"content-length", b"%d" % len(response.body)))
    data = connection.send(h11.Response(status_code=response.status, headers=headers)) or b""
    if has_body:
        data += connection.send(h11.Data(data=response.body)) or b""
    sock.sendall(data + (connection.send(h11.EndOfMessage()) or b""))


def stream(sock: socket.socket, connection: h11.Connection, exchange: BotExchange, request: QueryRequest) -> None:
    head = exchange.begin()
    sock.sendall(connection.send(h11.Response(status_code=head.status, headers=list(head.headers))) or b"")
    event: Event | None = None
    # Another thread runs the bot up to its next text, so that this one can send heartbeats meanwhile.
    with closing(answer(request)) as texts, ThreadPoolExecutor(max_workers=1) as executor:
        while not isinstance(event, Done):
            step = executor.submit(next, texts, None)
            while not wait([step], timeout=15).done:
                sock.sendall(connection.send(h11.Data(data=exchange.heartbeat())) or b"")
            try:
                text = step.result()
            except Exception as exc:
                error_id = uuid.uuid4().hex
                print(f"the bot failed, error {error_id}: {exc!r}", file=sys.stderr)
                data = exchange.fail(error_id)
                assert isinstance(data, bytes)  # the stream was begun
                sock.sendall(connection.send(h11.Data(data=data)) or b"")
                break
            event = Done() if text is None else Text(text)
            sock.sendall(connection.send(h11.Data(data=exchange.send(event))) or b"")
    sock.sendall(connection.send(h11.EndOfMessage()) or b"")


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
        while True:
            accepted, _ = listener.accept()
            threading.Thread(target=serve_connection, args=[accepted], daemon=True).start()
