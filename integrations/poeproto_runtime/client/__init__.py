"""Calls: runs the flows of the core over a transport, for clients and for bots that call others.

Theory of operation
===================

The parts, from the caller down to the socket
---------------------------------------------

    Reply            what the caller enters, iterates and closes                      reply.py
    FlowRunner       performs the effects of a flow, hands out its events             flow_runner.py
    flow             the steps of the call: request, retry, rounds of tools (core)    poeproto.flows
    exchange         bytes to events, and the protocol's rules (core)                 poeproto.PoeExchange
    TransportCall    the requests of one call, and its deadlines                      transport.py (H11Call)
    Connection       one HTTP/1.1 connection: h11 and the chunk reader                poeproto_h11.client.connection
    ByteStream       a socket on asyncio, trio or blocking, with TLS or without      poeproto_h11.client.backend
    Connector        opens that: at the server, a proxy or in a tunnel through one   poeproto_h11.client.tunnel

A flow is a generator without I/O. It yields effects (`SendRequest`, `ReceiveData`, `Wait`, `RunTools`, ...), and the
runner resumes it with their outcomes, or throws their failures into it. So one place decides the next step, and another
one how to wait. `ApiCalls` (api.py) makes flows from arguments, and `ClientBase` (client_base.py) chooses the URL and
the key. A call with hooks has an `ObservedReplyRunner` (observed_runner.py) instead of a plain `FlowRunner`.

One event
---------

`Reply.__anext__` first takes from `FlowRunner.ready`: the events of the last read, without waiting or resuming
anything. When there are none left, the runner resumes the flow, which folds those events and asks for `ReceiveData`.
The runner awaits the response's next bytes, and sends them into the flow. The flow gives them to its exchange, and
yields `Deliver` with all events in them: they are the new `ready`. A read that completes no event goes round once more.

Retries
-------

A failed request is thrown into the flow, whose `RetryPolicy` decides: by default one retry, and only if nothing can
have been done (no connection, 429, 503), and never after output that cannot be taken back. The flow yields
`CloseResponse` if a response is open, `Wait`, and `SendRequest` again. The runner keeps no state for that. All attempts
share one `TransportCall`, and so one total timeout.

Who owns deadlines
------------------

The `TransportCall` alone. Its clock starts with the first request. Each operation on the stream (connect, write, read)
gets its own timeout: the smaller of its own limit and the time left in total. `TimeoutError` becomes `DeadlineExceeded`
where the operation is awaited. A `Wait` that would not end in time fails at once, and the failure that caused it is
raised.

No task, and no scope around the caller's code
----------------------------------------------

A call runs in the task that awaits the reply, and only while it is awaited. Cancel scopes exist inside single
operations, such as connecting and writing. A read has none, but a timer: one a connection on asyncio, one for all
connections on trio. The only task group is the one in which `ToolRunner` runs the tools of a round; it begins and ends
within one await, too. Nothing stays open while the caller's code runs between two events,
or within ``async with``. The reason: that code is often a bot's generator, suspended at a ``yield``. A scope or task
group that is open across a ``yield`` may be exited in another task than it was entered in, its deadline fires in code
that it was not meant for, and what it cancels surfaces wherever the generator happens to be. For the same reason
replies are classes and not generators: closing one needs no unwinding of suspended code.

What is cancelled when
----------------------

- The caller's scope is cancelled during a read, or during the wait before a retry: nothing was taken from the stream,
  and the runner keeps the effect. Within ``with``, the read may be repeated. Without, the reply closes itself.
- During a connect, a request or a response head: the connection is closed, and the call has failed.
- While tools run: the asynchronous ones are cancelled, threads are abandoned, and the call has failed. (The connection
  was released before the tools started.)
- The reply is closed early: the flow is closed, and the connection with it, because its body is unread.
- The reply is complete: up to `Limits.drain` bytes are read, for at most a second, to find the end of the body. Then
  the connection goes back to the pool; if the end was not found, it is closed.
- Closing connections is shielded: it works in a cancelled task, and needs no time.

A read that is interrupted in any other way (`KeyboardInterrupt` may strike between two instructions) may have lost
bytes, so its connection is never reused.

Two owners of a reply
---------------------

The caller of a client owns its reply, and closes it: by ``with``, by reading to the end, or by dropping it. The calls
of a bot also belong to its request: `RequestContext` closes those that are left when the request ends.

Calling by blocking
-------------------

There is no synchronous twin of all this. `poeproto_h11.BlockingClient` runs the same coroutines over a backend whose
operations block instead of suspending, so one ``send(None)`` runs each to its end (`run_sync`). The two clients share
all but `BlockingReply`, which is `Reply` with another spelling of the same base, and the backend.
"""
