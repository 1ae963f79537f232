"""The state that the simulator keeps between runs."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from poeproto import CostItem, Data, Endpoints, Feedback, RequestRefused, SettingsResponse, UploadRefused
from poeproto_h11 import Client
from poeproto_simulator import Canned, Simulator
from poeproto_simulator.database import Database, Document

from ...support.bots import KEY, query_body
from ...support.scripted_asgi import body_messages, converse, http_scope

pytestmark = pytest.mark.anyio


async def test_state_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "simulator.db"
    first = Simulator(database=file, balance=100)
    cat = Canned(["Meow \N{CAT FACE} \ud83d", Data("stored")], SettingsResponse(server_bot_dependencies={"Dog": 2}))
    async with first.serving() as address, Client(access_key=KEY, endpoints=Endpoints.at(address)) as client:
        first.register("Cat", cat, access_key=KEY)
        first.register("Remote", "http://127.0.0.1:9/", access_key="r" * 32)
        reply = await first.say("Cat", "hello", parameters={"size": [1, None]})
        await client.capture_cost(CostItem(30, "purring"), reply.query.request.bot_query_id)
        await client.sync_settings("Remote", SettingsResponse(rate_card="dear"), access_key="r" * 32)
        await first.report_feedback(reply.message_id, "like")
        ann = first.engine.add_user("Ann", api_key="ann's")
        await first.say("Cat", "hi", user=ann)

    second = Simulator(database=file, balance=5)
    async with second:
        second.register("Cat", cat, access_key=KEY)
        assert second.balance == 70
        assert second.user.id == first.user.id
        assert second.engine.users == first.engine.users
        assert second.charges == first.charges
        assert second.reports == first.reports
        assert second.settings_of("Remote") == SettingsResponse(rate_card="dear")
        assert second.engine.bots["Remote"].url == "http://127.0.0.1:9/"
        assert second.engine.bots["Remote"].access_key == "r" * 32
        assert second.engine.conversations == first.engine.conversations
        again = await second.say("Cat", "again", conversation=reply.conversation.id)
    message = again.query.request.query[1]
    assert (message.metadata, message.feedback) == ("stored", [Feedback("like")])
    assert again.query.request.query[0].parameters == {"size": [1, None]}
    assert again.query.request.user_id == reply.query.request.user_id

    async with Simulator(database=file) as third:
        assert len(third.engine.conversations[reply.conversation.id].messages) == 4


async def test_messages_are_saved_at_once(tmp_path: Path) -> None:
    async with Simulator(database=tmp_path / "simulator.db") as first:
        reply = await first.say("Cat", "hello")
        async with Simulator(database=tmp_path / "simulator.db") as second:
            assert len(second.engine.conversations[reply.conversation.id].messages) == 2


async def test_a_bot_registered_before_the_start_replaces_a_saved_one(tmp_path: Path) -> None:
    async with Simulator(database=tmp_path / "simulator.db") as first:
        first.register("Cat", "http://127.0.0.1:9/")
        await first.save()
    second = Simulator(database=tmp_path / "simulator.db")
    second.register("Cat", Canned("Meow"))
    async with second:
        assert (await second.say("Cat", "hello")).final_text() == "Meow"


async def test_a_simulator_may_be_used_again(tmp_path: Path) -> None:
    simulator = Simulator(database=tmp_path / "simulator.db")
    for count in (2, 4):
        async with simulator.serving():
            reply = await simulator.say("Cat", "hello", conversation="c-1")
            assert len(reply.conversation.messages) == count


def test_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    file = tmp_path / "poem.txt"
    file.write_text("a rose is a rose is a rose" * 100)
    with pytest.raises(OSError, match=r"poem\.txt cannot be used: file is not a database"):
        Simulator(database=file)
    with pytest.raises(OSError, match="cannot be used: unable to open database file"):
        Simulator(database=tmp_path / "nowhere" / "simulator.db")


async def test_a_database_that_breaks_later(tmp_path: Path) -> None:
    file = tmp_path / "simulator.db"
    async with Simulator(database=file) as simulator:
        with sqlite3.connect(file) as other:
            other.execute("drop table documents")
        other.close()
        with pytest.raises(OSError, match="cannot be used: no such table"):
            await simulator.say("Cat", "hello")
        reply = await simulator.say("Cat", "hello")  # the table is made again when the file is opened again
    async with Simulator(database=file) as after:
        assert reply.conversation.id in after.engine.conversations
        assert len(after.engine.conversations) == 2, "what could not be saved is saved with the next"


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (errno.ENOSPC, 507, "disk is full"),
        (errno.EDQUOT, 507, "disk is full"),
        (errno.EIO, 500, "its log says why"),
        (errno.EACCES, 500, "its log says why"),
    ],
)
async def test_a_storage_failure_is_logged_in_one_line(
    number: int, status: int, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "simulator.db"
    simulator = Simulator(database=file)

    async def store(data: bytes, name: str, content_type: str | None) -> None:
        raise OSError(number, os.strerror(number))

    async with simulator.serving() as address, Client(access_key=KEY, endpoints=Endpoints.at(address)) as client:
        with sqlite3.connect(file) as other:
            other.execute("drop table documents")
        other.close()
        with pytest.raises(RequestRefused, match="its log says why"):
            await client.query("Cat", "hello").text()
        assert await client.query("Cat", "hello").text() == "hello"  # the table is made again
        simulator.files.store = store  # type: ignore[method-assign, assignment]
        with pytest.raises(UploadRefused, match=said) as caught:
            await client.upload(b"x", name="a.txt")
        assert caught.value.status == status
    logged = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(logged) == 2
    assert any(os.strerror(number) in record.getMessage() for record in logged)
    assert all("could not use its storage" in record.getMessage() for record in logged)
    assert not any(record.exc_info for record in logged)


def json_post(path: str, wire: object) -> tuple[dict[str, Any], bytes]:
    return http_scope(path=path, headers=[("content-type", "application/json")]), json.dumps(wire).encode()


COST = {"amounts": [{"amount_usd_milli_cents": 300}], "access_key": KEY}


@pytest.mark.parametrize(
    ("path", "wire"),
    [
        pytest.param("/bot/cost/b-1/capture", COST, id="capture"),
        pytest.param("/bot/cost/b-1/authorize", COST, id="authorize"),
        pytest.param("/simulator/users", {"name": "Ann"}, id="user"),
        pytest.param("/simulator/messages", {"bot": "Cat", "text": "hello"}, id="message"),
        pytest.param("/simulator/bots", {"name": "Dog", "url": "http://127.0.0.1:1/"}, id="bot"),
        pytest.param("/simulator/errors", {"bot": "Cat", "message": "no"}, id="report"),
        pytest.param("/bot/Cat", json.loads(query_body()), id="query"),
        pytest.param(f"/bot/update_settings/Cat/{KEY}/1.2", {"allow_attachments": True}, id="settings"),
    ],
)
async def test_an_act_that_cannot_be_saved_is_not_answered_with_200(
    path: str, wire: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(self: Database, documents: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = tmp_path / "simulator.db"
    simulator = Simulator(database=file, balance=1000)
    simulator.register("Cat", "http://127.0.0.1:1/" if "update" in path else Canned("meow"))
    scope, body = json_post(path, wire)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "save", full)
        assert (await converse(simulator, scope, body_messages(body))).status == 507
        assert simulator.balance == 1000
        assert simulator.charges == []
    assert (await converse(simulator, scope, body_messages(body))).status == 200
    spent = 300 if path.endswith("capture") else 0
    await simulator.aclose()
    async with Simulator(database=file, balance=1000) as after:
        assert after.balance == 1000 - spent
        assert [charge.amount for charge in after.charges] == ([spent] if spent else [])


async def test_a_state_that_is_only_read_needs_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(self: Database, documents: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    simulator = Simulator(database=tmp_path / "simulator.db")
    simulator.engine.add_user()
    with monkeypatch.context() as patch:
        patch.setattr(Database, "save", full)
        answer = await converse(simulator, http_scope(method="GET", path="/simulator/state"), body_messages(b""))
        assert answer.status == 200
    await simulator.aclose()


async def test_a_database_at_its_maximum_size_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Small(sqlite3.Connection):
        def __init__(self, *args: Any, **keywords: Any) -> None:
            super().__init__(*args, **keywords)
            self.execute("pragma max_page_count = 3")  # as on a small disk

    database = Database(tmp_path / "simulator.db")
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Small))
    with pytest.raises(OSError, match=r"simulator\.db cannot be used: database or disk is full") as caught:
        await database.save([Document("user", "u", {"name": "x" * 100_000})])
    assert caught.value.errno == errno.ENOSPC


async def test_a_state_that_cannot_be_saved_at_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "simulator.db"
    simulator = Simulator(database=file)
    with pytest.raises(OSError, match="file is not a database"):
        async with simulator.serving() as address:
            file.write_text("a rose is a rose is a rose" * 1000)
            async with Client(access_key=KEY, endpoints=Endpoints.at(address)) as client:
                with pytest.raises(RequestRefused, match="its log says why"):
                    await client.query("Cat", "hello").text()
    assert not any(record.exc_info for record in caplog.records)


async def test_a_client_disconnect_is_not_a_storage_failure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    lost = OSError("the client disconnected")  # as ASGI servers raise it
    answer = await converse(Simulator(), http_scope(path="/bot/Cat"), body_messages(query_body()), send_error=lost)
    assert answer.status == 200
    assert not caplog.records
