"""An SQLite file that keeps the records of the simulated Poe between runs.

Uploaded files are not saved. Neither are bots that run in this process: the program that registers them does so in each
run. The keys of users and bots are saved in plain text.
"""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import attrs

from poeproto_simulator.records import (
    Account,
    Charge,
    Conversation,
    RegisteredBot,
    messages_from_json,
    messages_to_json,
    settings_from_json,
    settings_to_json,
)
from poeproto_simulator.state import State

T = TypeVar("T")


@attrs.frozen
class Document:
    """One record, as JSON.

    Attributes:
        kind: "user", "bot", "conversation", "charge" or "report".
        key: identifies it among its kind.
        content: the record.
    """

    kind: str
    key: str
    content: dict[str, Any]


class Database:
    """Documents in an SQLite file, which one process uses at a time.

    Args:
        path: the file; created if it does not exist. The constructor opens it once, so that an error shows before
            anything is served.

    The constructor and every method raise `OSError` when the file is not a database, or cannot be read or written. Its
    `errno` is ``ENOSPC`` when the disk is full.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        # SQLite allows a connection to be used by several threads, one at a time.
        self._one_thread = anyio.CapacityLimiter(1)
        self._call(self._open)
        self._close()

    async def load(self) -> list[Document]:
        """All documents, in the order in which they were first saved."""
        return await self._run_in_thread(self._load)

    async def save(self, documents: Iterable[Document]) -> None:
        """Save documents; they replace those of the same kind and key."""
        rows = [(each.kind, each.key, json.dumps(each.content)) for each in documents]
        await self._run_in_thread(partial(self._save, rows))

    async def aclose(self) -> None:
        """Close the file. The next call opens it again."""
        with anyio.CancelScope(shield=True):
            await self._run_in_thread(self._close)

    async def _run_in_thread(self, function: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(self._call, function, limiter=self._one_thread)

    def _call(self, function: Callable[[], T]) -> T:
        try:
            return function()
        except sqlite3.Error as exc:
            self._close()
            failure = OSError(f"the database {self._path} cannot be used: {exc}")
            if getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:  # some errors have no code
                failure.errno = errno.ENOSPC
            raise failure from exc

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, check_same_thread=False)
            with self._connection as transaction:
                transaction.execute(
                    "create table if not exists documents "
                    "(number integer primary key, kind text, key text, content text, unique (kind, key))"
                )
        return self._connection

    def _load(self) -> list[Document]:
        rows = self._open().execute("select kind, key, content from documents order by number").fetchall()
        return [Document(kind, key, json.loads(content)) for kind, key, content in rows]

    def _save(self, rows: list[tuple[str, str, str]]) -> None:
        with self._open() as transaction:
            transaction.executemany(
                "insert into documents (kind, key, content) values (?, ?, ?) "
                "on conflict (kind, key) do update set content = excluded.content",
                rows,
            )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def changed_documents(state: State) -> list[Document]:
    """The records that have changed since the last call."""
    changed = list(state.changed)
    state.changed.clear()
    return [Document(kind, key, content) for kind, key in changed if (content := _content(state, kind, key))]


def _content(state: State, kind: str, key: str) -> dict[str, Any] | None:
    match kind:
        case "user":
            return attrs.asdict(state.users[key])
        case "bot":
            bot = state.bots[key]
            if bot.url is None:
                return None
            settings = settings_to_json(bot.settings)
            return {"name": bot.name, "access_key": bot.access_key, "url": bot.url, "settings": settings}
        case "conversation":
            conversation = state.conversations[key]
            messages = messages_to_json(conversation.messages)
            return {"id": conversation.id, "user_id": conversation.user_id, "messages": messages}
        case "charge":
            return state.charges[int(key)].as_json()
        case _:
            return state.reports[int(key)]


def restore(state: State, documents: Iterable[Document]) -> None:
    """Add saved records to the state. Saved users come first; a bot that is registered already replaces a saved one."""
    users: dict[str, Account] = {}
    for document in documents:
        content = document.content
        match document.kind:
            case "user":
                users[document.key] = Account(**content)
            case "bot":
                settings = settings_from_json(content.pop("settings"))
                state.bots.setdefault(document.key, RegisteredBot(**content, settings=settings))
            case "conversation":
                messages = messages_from_json(content["messages"])
                state.conversations[document.key] = Conversation(content["id"], content["user_id"], messages)
            case "charge":
                state.charges.append(Charge.from_json(content))
            case _:
                state.reports.append(content)
    state.users = {**users, **state.users}
