"""The files of a new project: a bot that passes its test, and `poeproto check`."""

from __future__ import annotations

_BOT = '''\
"""A Poe server bot. https://creator.poe.com/docs/server-bots"""

from __future__ import annotations

from collections.abc import AsyncIterator

from poeproto import Bot, Context, Event, QueryRequest, SettingsResponse, SuggestedReply


class {class_name}(Bot):
    """Repeats what the user wrote, in capitals."""

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        """The reply, as it is written: strings, and other events of the protocol."""
        message = request.query[-1]
        for word in message.content.split():
            yield f"{{word.upper()}} "
        if not message.content.strip():
            yield "Write something, and I repeat it in capitals."
        yield SuggestedReply("once more")

    async def get_settings(self, request: object, context: Context) -> SettingsResponse:
        """The settings that Poe fetches when the bot is created, and whenever they are synced."""
        return SettingsResponse(introduction_message="Write something, and I repeat it in capitals.")


bot = {class_name}()
'''

_TEST = '''\
"""The bot, called as Poe calls it, by a simulator in memory."""

from __future__ import annotations

import anyio
from poeproto_simulator import ReceivedReply, Simulator

from {module} import bot


def say(text: str) -> ReceivedReply:
    """The bot's reply to a message of a user."""

    async def ask() -> ReceivedReply:
        async with Simulator() as simulator:
            simulator.register("{class_name}", bot)
            return await simulator.say("{class_name}", text)

    return anyio.run(ask)


def test_it_repeats_the_message_in_capitals() -> None:
    reply = say("hello there")
    assert reply.final_text().split() == ["HELLO", "THERE"]
    assert reply.suggested_replies == ["once more"]


def test_it_answers_an_empty_message() -> None:
    assert say(" ").final_text().startswith("Write something")
'''

_PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{distribution}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["poeproto[cli]"]

[project.optional-dependencies]
test = ["pytest"]

[tool.setuptools]
py-modules = ["{module}"]

[tool.pytest.ini_options]
testpaths = ["test_{module}.py"]
"""

_README = """\
# {class_name}

A Poe server bot, written with poeproto.

| file | what it is |
| --- | --- |
| `{module}.py` | the bot |
| `test_{module}.py` | its test |

## Test it

    python -m pytest

## Try it

    poeproto serve {module}.py:bot --allow-without-key

serves it at http://127.0.0.1:8080/. In another terminal,

    poeproto query http://127.0.0.1:8080/ "hello there"

asks it, and

    poeproto check http://127.0.0.1:8080/

says whether it keeps the rules of the protocol. `poeproto simulate --bot {class_name}={module}.py:bot` runs it in a
simulator of Poe.

## Put it on Poe

1. Serve it at a public https address, with the access key that Poe shows where the bot is edited:
   `POE_ACCESS_KEY=... poeproto serve {module}.py:bot --bind 0.0.0.0:8080`.
2. Enter the address as the server URL of a [server bot](https://poe.com/create_bot?server=1).
3. When its settings have changed, have Poe fetch them: `POE_ACCESS_KEY=... poeproto sync NAME`.
"""

_IGNORED = """\
__pycache__/
.pytest_cache/
.venv/
*.egg-info/
"""


def project_files(module: str) -> dict[str, str]:
    """The files of a project, by name.

    Args:
        module: the name of the bot's module.
    """
    values = {
        "module": module,
        "distribution": module.replace("_", "-").strip("-"),
        "class_name": "".join(part.capitalize() for part in module.split("_")),
    }
    templates = {
        f"{module}.py": _BOT,
        f"test_{module}.py": _TEST,
        "pyproject.toml": _PROJECT,
        "README.md": _README,
        ".gitignore": _IGNORED,
    }
    return {name: template.format_map(values) for name, template in templates.items()}
