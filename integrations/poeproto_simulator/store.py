"""An SQLite file in which the engine's records outlive the process.

Files that were uploaded are not kept, and neither are bots that run in this process: the program that registered them
will do so again. The records hold the keys of users and bots as they are.
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

from poeproto_simulator.engine import Poe
from poeproto_simulator.ledger import charge_from_json
from poeproto_simulator.records import (
    Account,
    Conversation,
    RegisteredBot,
    messages_from_json,
    messages_to_json,
    settings_from_json,
    settings_to_json,
)

T = TypeVar("T")


@attrs.frozen
class Document:
    """One record, as JSON.

    Attributes:
        kind: "user", "bot", "conversation", "charge" or "report".
        key: which one.
        content: the record.
    """

    kind: str
    key: str
    content: dict[str, Any]


class Database:
    """Documents in an SQLite file, which one process uses at a time.

    Args:
        path: the file; it is made if there is none. It is looked at here and now, so that a mistake shows before
            anything is served.

    Every method, and the constructor, raises `OSError` when the file is no database, or cannot be read or written; its
    `errno` is ``ENOSPC`` when the disk is full.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        # One thread at a time, so that the connection may be handed from one to another.
        self._turn = anyio.CapacityLimiter(1)
        self._call(self._open)
        self._close()

    async def load(self) -> list[Document]:
        """All documents, in the order in which they were first saved."""
        return await self._in_thread(self._load)

    async def save(self, documents: Iterable[Document]) -> None:
        """Keep these, in the place of what was kept under the same kinds and keys."""
        rows = [(each.kind, each.key, json.dumps(each.content)) for each in documents]
        await self._in_thread(partial(self._save, rows))

    async def aclose(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with anyio.CancelScope(shield=True):
            await self._in_thread(self._close)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(self._call, function, limiter=self._turn)

    def _call(self, function: Callable[[], T]) -> T:
        try:
            return function()
        except sqlite3.Error as exc:
            self._close()
            failure = OSError(f"the database {self._path} cannot be used: {exc}")
            if getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:  # not all errors come from SQLite
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


def changed_documents(engine: Poe) -> list[Document]:
    """The records that have changed since this was last called."""
    changed = list(engine.changed)
    engine.changed.clear()
    return [Document(kind, key, content) for kind, key in changed if (content := _content(engine, kind, key))]


def _content(engine: Poe, kind: str, key: str) -> dict[str, Any] | None:
    match kind:
        case "user":
            return attrs.asdict(engine.users[key])
        case "bot":
            bot = engine.bots[key]
            if bot.url is None:
                return None
            settings = settings_to_json(bot.settings)
            return {"name": bot.name, "access_key": bot.access_key, "url": bot.url, "settings": settings}
        case "conversation":
            conversation = engine.conversations[key]
            messages = messages_to_json(conversation.messages)
            return {"id": conversation.id, "user_id": conversation.user_id, "messages": messages}
        case "charge":
            return engine.charges[int(key)].as_json()
        case _:
            return engine.reports[int(key)]


def restore(engine: Poe, documents: Iterable[Document]) -> None:
    """Put saved records into an engine. Users come before those it has, and of bots it keeps those it has."""
    users: dict[str, Account] = {}
    for document in documents:
        content = document.content
        match document.kind:
            case "user":
                users[document.key] = Account(**content)
            case "bot":
                settings = settings_from_json(content.pop("settings"))
                engine.bots.setdefault(document.key, RegisteredBot(**content, settings=settings))
            case "conversation":
                messages = messages_from_json(content["messages"])
                engine.conversations[document.key] = Conversation(content["id"], content["user_id"], messages)
            case "charge":
                engine.charges.append(charge_from_json(content))
            case _:
                engine.reports.append(content)
    engine.users = {**users, **engine.users}
