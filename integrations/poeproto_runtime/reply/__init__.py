"""Answers: runs a bot for one query, and streams its events to the client. This page is the theory of operation.

`docs/runtime.md` says the same at more length, with a diagram of the tasks and one of the states.

The problem. A bot is an async generator that somebody else wrote. Between two events it may compute, sleep, call
others, hold task groups open, fail, or never return. Meanwhile the client may read slowly, stop reading, or disconnect;
the server may be stopped. A lone event must be sent at once, a burst in few writes. All this must hold on asyncio
and on trio, with little cost for an event and little memory for a reply that waits.

Files. `task` has `ReplyStream`, one reply under way. `sender` takes events from the bot through the exchange into
`writer`, which buffers and writes. `states` is where the reply stands, as tables. `suspension` has the hook that this
page is about. `tasks` has the tasks beside
the bot's. `timers` has heartbeats and timeouts, `shutdown` the replies of a server that stops.

One task first. The server's task for the request calls `BotService.handle`, which calls `ReplyStream.run`; the bot,
the exchange and the writes all run in this task, the bot's task. A bot that never waits needs no other. To wake
another task for each event would cost as much again as the event does.

The hook. `run` awaits `_answer` through `await_with_hook`, which does what ``await`` does and calls
`_before_suspension` each time something below yields to the event loop. That is the one moment at which the runtime
learns that the bot (or a write) waits. `_before_suspension`:

- gives the texts of a burst to the writer, and marks that the bot's next event is a lone one (`BotPace.SUSPENDED`);
- at the first suspension starts the disconnect task, and adds the reply to the timers (`Tasks.WATCHED`);
- if a burst left bytes in the buffer and nobody writes, starts or wakes the writer's task.

The hook is synchronous. The value on its way to the loop is part of a protocol between the innermost awaitable and the
loop: on asyncio a future is marked as awaited by now, on trio the code that will reschedule the task knows of it. An
``await`` in the hook would suspend the task a second time, within the first. For the same reason nothing else stands
between a suspension and the loop: no task group, scope or queue between the bot and `run`, but those of the bot's own
and `_bot_scope`.

The tasks. All but the timers' are in the reply's `ReplyTasks`, which `run` enters, and which `_cancel` cancels together
with the bot's task. It is a task group on trio, and plain tasks of the event loop on asyncio. They have the context
variables of the bot's task.

- The bot's task ends the reply. When `_answer` has returned or raised, `run` cancels the other tasks, and then calls
  what the bot gave to `context.on_close`, each under a shield with a deadline.
- The disconnect task (`_cancel_on_disconnect`) awaits `channel.wait_disconnected`, and then calls `_cancel`, unless
  the end of the response is being written: servers report the end of an exchange as a disconnect too.
- The writer's task (`_write`, `CoalescingWriter.run`) writes the rest of a burst while the bot waits. It then waits
  for more; one that a heartbeat has started ends instead, since a task that waits takes memory. It calls `_cancel` if
  its write fails.
- The timers' task (`ReplyTimers._run`) serves all replies of a server and event loop. It runs in the server's
  lifespan, or without one in some reply's `ReplyTasks`. It calls `ReplyStream.tick`, which never awaits.

Who writes. One at a time: `Writing` says who. The bot's task writes a lone event itself (`write_lone`). If the
writer's task is writing at that moment, the event is buffered, and `flush` returns: the writer's task finds it when its
write ends.

Backpressure. `flush` waits only if `Limits.write_buffer` bytes are buffered and a write is under way; then the bot's
generator is not resumed. A bot that never waits is made to yield to the loop each time the buffer is full.

Heartbeats and timeouts. `tick` compares the count of writes with that of the last tick. While a write is under way and
none has begun for `Limits.send_seconds`, the client is treated as disconnected. While nobody writes and none has begun
for nearly `Limits.heartbeat_seconds`, a comment is buffered, and the writer's task started. `Limits.answer_seconds` is
the deadline of `_bot_scope`, a scope around the bot alone, so that the response can still be ended after it.

A disconnect, from the socket to the bot's ``finally``. Either `wait_disconnected` returns first, and `_cancel` cancels
the bot's task; or a write raises `ClientDisconnected` first, in the bot's task (it propagates) or in the writer's (it
calls `_cancel`). If the bot is suspended itself, the cancellation is raised within it; if it stands at a `yield`, its
generator is closed by `close_events`. Its ``finally`` runs in both cases, before the generator's task ends. It should
not await after a cancellation: its first ``await`` would be cancelled again. `context.on_close` is for that.

Closing the generator. `_answer` closes it inside `_bot_scope` and in the task that ran it, since a scope or task group
that the bot holds open around a `yield` must be left in the task and within the scopes where it was entered. The
deadline for that is `_bot_scope`'s own, `Limits.cleanup_seconds` from then.

A write that was cut short. A bot may hold a task group open around its `yield`. If one of its tasks fails while the
event is being written, the write is cancelled: `Writing.CUT_SHORT`. Nobody above the channel knows how much was sent.
Then the generator is closed, the task group raises the failure, and `_ending_after` makes an `error` of it. If neither
the reply nor the bot's scope was cancelled from outside, `_skip_cut_short` drops the buffered data, so that the client
has a beginning of the reply without a hole, and `finish` is called. The channel decides: it sends the end if the write
had sent all of its data or nothing, and raises `ClientDisconnected` if it had sent a part.

A cancellation of something else. A bot may await a task that was cancelled, or its generator may be closed while it
holds a cancelled scope open. The `CancelledError` seen then does not cancel the bot's task: `is_cancelled` tells the
two apart, and the reply ends with an error.

Shutdown. A server calls `ActiveReplies.stop` in its loop, `BotApp.stop_streams` reaches all loops. `ReplyStream.stop`
notes it in the state and cancels `_bot_scope`. The bot's ``finally`` runs, the response ends with an `error` that
allows a retry and `done`, and the request returns as after any reply. The server aborts replies that do not end in
time: the embedded server cancels it after `ServerLimits.grace_seconds`; `poeproto_asgi.serve` resets the connection
after `graceful_timeout`, which the reply sees as a disconnect.
"""
