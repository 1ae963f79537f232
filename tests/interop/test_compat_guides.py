"""The programs of the guides, and others as users write them, under fastapi_poe and under poeproto_compat.

Each program of compat_programs runs twice beside a simulated Poe, and only its imports differ. Then everything that can
be seen must be the same: the events of each reply, the files, the settings, what other bots were asked, the costs, all
that Poe has logged, and what was printed.

The guides: https://creator.poe.com/docs/server-bots-functional-guides. Their programs are rewritten here, with the
same calls. What hosts them on Modal is left out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import httpx
import pytest
from pypdf import PdfWriter

from poeproto import Error, Event, File, Json, Meta, ReplaceResponse, SuggestedReply, Text
from poeproto_simulator import Scripted
from poeproto_simulator.scripted_bots import ToolCaller, tool_call_chunks

from ..support.compat_stage import NAME, PROGRAMS, Stage, playing

pytestmark = [
    pytest.mark.anyio,
    # fastapi_poe calls pydantic 2 by pydantic 1's names, and so do programs.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

Act = Callable[[Stage], Awaitable[str]]
Script = Callable[[Any], Any]


@attrs.frozen
class Scene:
    """The steps that a program is put through.

    Attributes:
        section: the section of the guides that the program stands for; empty for a habit of users.
        act: uses the program, and returns a text that a user sees.
        expected: the text.
        models: what other bots answer.
        balance: the user's balance.
        is_pushed: whether the program pushes its bot's settings when it starts.
        path: the path of the bot.
        other_paths: the other bots that the program serves, and their paths.
        crash: how fastapi_poe fails in this scene, where it does; the scene then holds for poeproto_compat alone.
        differs: the parts of `Stage.seen` that differ deliberately: docs/migrating.md says why.
    """

    section: str
    act: Act
    expected: str
    models: dict[str, Script] = attrs.field(factory=dict[str, Script])
    balance: int = 1_000_000
    is_pushed: bool = True
    path: str = "/"
    other_paths: dict[str, str] = attrs.field(factory=dict[str, str])
    crash: str = ""
    differs: frozenset[str] = frozenset()


SCENES: dict[str, Scene] = {}


def scene(program: str, section: str = "", *, expected: str, case: str = "", **details: Any) -> Callable[[Act], Act]:
    """Add a scene; `program` is the file's path, and `case` distinguishes several scenes of one program."""

    def add(act: Act) -> Act:
        SCENES[f"{program} {case}".strip()] = Scene(section, act, expected, **details)
        return act

    return add


async def hello(stage: Stage) -> str:
    """The scene of a bot that needs nothing but a message."""
    return await stage.say("hello")


def replying(*events: Event) -> Script:
    """A model that always sends these events."""
    return lambda request: events


def quote(request: Any) -> list[Any]:
    """A model: several events for each query."""
    return [Meta(suggested_replies=True), Text("naïve "), Text(request.query[-1].content), SuggestedReply("More?")]


# --- the guides

scene("guides/accessing_other_bots", "Accessing other bots on Poe", expected="naïve hello", models={"Model": quote})(
    hello
)
scene(
    "guides/accessing_other_bots",
    "Accessing other bots on Poe",
    case="an error of the other bot",
    expected="",
    models={"Model": replying(Error(text="out of paint", allow_retry=False))},
)(hello)
scene(
    "guides/rendering_an_image",
    "Rendering an image in your response",
    expected="A heron: ![heron](https://pictures.invalid/heron.jpeg)",
    is_pushed=False,
)(hello)
scene(
    "guides/rendering_html",
    "Rendering HTML in your response",
    expected="```html\n<html>\n  <h1>naïve 🐈</h1>\n</html>\n```\n<html>\n  <h1>inline</h1>\n</html>\n"
    '<iframe\n  height="200"\n  src="https://films.invalid/embed?id=1&start=5"></iframe>\n',
    is_pushed=False,
)(hello)


async def with_files(stage: Stage) -> str:
    notes = await stage.simulator.store_file("{braces} 🐈".encode(), "notes.txt")
    dot = await stage.simulator.store_file(b"\x89PNG\r\n\x1a\n", "dot.png", "image/png")
    return await stage.say("What is it?", attachments=[notes, dot])


scene(
    "guides/file_upload",
    "Enabling file upload for your bot",
    expected="user: True user: False user: False [notes.txt text/plain {braces} 🐈] "
    "[dot.png image/png dot.png***an image of 8 bytes] ",
)(with_files)
scene("guides/file_upload_without_insertion", "Enabling file upload for your bot", expected="What is it?")(with_files)
scene(
    "guides/file_upload_with_own_templates",
    "Enabling file upload for your bot",
    expected="1 of 3: notes.txt holds: {braces} 🐈\n\ndot.png holds: None\n\nWhat is it?",
)(with_files)


@scene("guides/counting_pages", "Parsing your own files", expected="three.pdf: 3 pages")
async def count_pages(stage: Stage) -> str:
    document, pdf = PdfWriter(), BytesIO()
    for _ in range(3):
        document.add_blank_page(100, 100)
    document.write(pdf)
    stored = await stage.simulator.store_file(pdf.getvalue(), "three.pdf", "application/pdf")
    first = await stage.say("How many?", attachments=[stored])
    again = await stage.say("And now?", conversation=stage.replies[-1])
    assert first == again
    return first


@scene(
    "guides/counting_pages",
    "Parsing your own files",
    case="that are not there",
    expected="The document could not be downloaded.",
)
async def count_pages_of_nothing(stage: Stage) -> str:
    stored = await stage.simulator.store_file(b"", "none.pdf", "application/pdf")
    missing = attrs.evolve(stored, url=stored.url.replace("/files/", "/files/no-"))
    return await stage.say("How many?", attachments=[missing])


async def receive_file(stage: Stage) -> str:
    text = await stage.say("naïve")
    return f"{text} {[(file.name, file.content_type, file.data) for file in stage.replies[-1].files]}"


scene(
    "guides/sending_files",
    "Sending files with your response",
    expected=f"Your words are attached. {[('said.txt', 'text/plain', 'naïve'.encode())]}",
    crash="'str' object has no attribute 'read'",
)(receive_file)
scene(
    "guides/sending_files_without_a_key",
    "Sending files with your response",
    expected=f"Your words are attached. {[('said.txt', 'text/plain', 'naïve'.encode())]}",
    is_pushed=False,
    crash="access_key parameter is required",
)(receive_file)


def player(variable: str, name: str) -> Act:
    async def play(stage: Stage) -> str:
        stored = await stage.simulator.store_file(b"some frames", name)
        setattr(stage.module, variable, stored.url)
        text = await stage.say("Play!")
        [file] = stage.replies[-1].files
        return f"{text}{file.name} {file.content_type} {file.data}"

    return play


scene(
    "guides/playing_audio",
    "Rendering an audio player in your response",
    expected="Listensong.mp3 audio/mpeg b'some frames'",
)(player("AUDIO_URL", "song.mp3"))
scene(
    "guides/playing_video",
    "Rendering a video player in your response",
    expected="film.mp4 video/mp4 b'some frames'",
)(player("VIDEO_URL", "film.mp4"))
scene(
    "guides/creating_prompt_bots",
    "Creating bots that help their users create prompt bots",
    expected="[Make your bot.](https://poe.com/create_bot?prompt=%7Buser_prompt%7D+--model+model-5&base_bot=Inference)",
    is_pushed=False,
)(hello)


@scene(
    "guides/introducing_itself",
    "Setting an introduction message",
    expected="Name a river, and I ask you about it. No questions yet.",
    is_pushed=False,
)
async def introduce(stage: Stage) -> str:
    settings = await stage.simulator.fetch_settings(NAME)
    return f"{settings.introduction_message} {await stage.say('Elbe')}"


@scene(
    "guides/several_bots_in_a_chat",
    "Multi Bot Support",
    expected="Model: naïve Who swims? | user: Do you?",
    models={"Model": quote},
)
async def several_bots(stage: Stage) -> str:
    first = await stage.simulator.say("Model", "Who swims?")
    text = await stage.say("Do you?", conversation=first)
    return text.splitlines()[-1]


@scene(
    "guides/updating_settings",
    "Updating bot settings",
    expected="{'Model': 1, 'Other-Model': 1} True ready",
    is_pushed=False,
)
async def fetch_settings(stage: Stage) -> str:
    settings = await stage.simulator.fetch_settings(NAME)
    return f"{settings.server_bot_dependencies} {settings.allow_attachments} {await stage.say('hello')}"


async def run(stage: Stage) -> str:
    return await stage.run()


scene("guides/syncing_settings", "Updating bot settings", expected='{"response_version": 2}\n')(run)


def tool_model(request: Any) -> Any:
    return ToolCaller({"find_tide": {"harbour": "Dover"}}).get_response(request, None)  # pyright: ignore[reportArgumentType]


def openai_model(request: Any) -> Any:
    """As OpenAI's models do: the first chunk has a null as its content, and the last has the usage and no choices."""
    if request.tool_results:
        return [Text(result.content) for result in request.tool_results]
    first, *others = tool_call_chunks([("find_tide", {"harbour": "Dover"})])
    choice: Any = {"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}
    usage = Json({**others[-1].data, "choices": [], "usage": {"total_tokens": 20}})
    return [Json({**first.data, "choices": [choice]}), *others, usage]


scene(
    "guides/function_calling",
    "Using OpenAI function calling",
    expected='find_tide says: "{\\"harbour\\": \\"Dover\\", \\"height\\": \\"6.7\\", \\"unit\\": \\"metres\\"}"\n',
    models={"Model": tool_model},
)(hello)
scene(
    "guides/function_calling",
    "Using OpenAI function calling",
    case="as OpenAI's models do",
    expected='"{\\"harbour\\": \\"Dover\\", \\"height\\": \\"6.7\\", \\"unit\\": \\"metres\\"}"',
    models={"Model": openai_model},
    crash="input_type=NoneType",
)(hello)


@scene(
    "guides/storing_metadata",
    "Storing Metadata with a Bot Response",
    expected="Tighten the brakes. Oil the chain. Pump up the tyres. There is nothing left to repair.",
)
async def repair(stage: Stage) -> str:
    vars(stage.module)["random"] = SimpleNamespace(choice=min)
    texts: list[str] = []
    for _ in range(4):
        earlier = stage.replies[-1] if stage.replies else None
        texts.append(await stage.say("It does not work.", conversation=earlier))
    return " ".join(texts)


@scene("guides/http_request", "Accessing HTTP request information", expected="requested http://host/ with ")
async def show_request(stage: Stage) -> str:
    text = await stage.say("hello")
    return re.sub(r"127\.0\.0\.1:\d+", "host", text)


@scene(
    "guides/http_request",
    "Accessing HTTP request information",
    case="with parameters",
    expected="requested http://host/?a=b%20c&a=d with a=b+c&a=d",
    path="/?a=b%20c&a=d",
)
async def show_parameters(stage: Stage) -> str:
    text = await stage.say("hello")
    return re.sub(r"127\.0\.0\.1:\d+", "host", text)


def texts_in(printed: str) -> str:
    """The texts of printed messages."""
    return " + ".join(re.findall("^text='(.*?)'", printed, re.MULTILINE))


@scene(
    "guides/querying_bots",
    "Programmatically accessing your Server bot",
    expected=" + naïve  + Good morning + More?",
    models={"Model": quote},
)
async def print_messages(stage: Stage) -> str:
    return texts_in(await stage.run())


@scene(
    "guides/in_a_notebook",
    "Programmatically accessing your Server bot",
    expected=" + naïve  + Good morning + More?",
    models={"Model": quote},
)
async def in_a_notebook(stage: Stage) -> str:
    await stage.run()
    await stage.module.cell()
    return texts_in(stage.printed.getvalue())


# --- habits of users

scene("habits/querying_synchronously", expected="naïve Good morningMore?\nFalse True\n", models={"Model": quote})(run)


def list_files(request: Any) -> str:
    return ", ".join(f"{each.name} {each.content_type}" for each in request.query[-1].attachments)


@scene(
    "habits/uploading",
    expected="table.csv text/csv\n"
    "url='/files/identifier/copy.csv' content_type='text/csv' name='copy.csv' inline_ref=None parsed_content=None\n"
    "table.csv text/csv, copy.csv text/csv\nnotes.txt\nimage/png\nit has no name\n",
    models={"Model": list_files},
)
async def upload(stage: Stage) -> str:
    printed = (await stage.run()).replace(stage.simulator.address, "")
    return re.sub("[0-9a-f]{32}", "identifier", printed)


scene("habits/pushing_settings", expected="The settings have been updated.\n" * 2 + "refused\n")(run)


@scene("habits/parameter_controls", expected="ink, 3 steps oil, 10 steps")
async def choose(stage: Stage) -> str:
    chosen = await stage.say("a heron", parameters={"style": "ink", "steps": 3})
    return f"{chosen} {await stage.say('a heron')}"


async def buy_twice(stage: Stage) -> str:
    texts = [await stage.say("one"), await stage.say("another")]
    return f"{texts} {[reply.error and reply.error.error_type for reply in stage.replies]} {stage.simulator.balance}"


scene("habits/charging", expected="['done', ''] [None, 'insufficient_fund'] 200000", balance=600_000)(buy_twice)
scene("habits/charging_with_care", expected="['paid', ''] [None, 'insufficient_fund'] 300000", balance=1_000_000)(
    buy_twice
)


@scene("habits/several_bots_in_one_app", expected="meow woof I am a dog.", path="/dog", other_paths={"Cat": "/cat"})
async def two_bots(stage: Stage) -> str:
    cat = await stage.simulator.say("Cat", "hello")
    settings = stage.simulator.settings_of(NAME)
    assert settings is not None
    return f"{cat.text} {await stage.say('hello')} {settings.introduction_message}"


@scene("habits/request_details", expected="POST / application/json True None query by POST", is_pushed=False)
async def details(stage: Stage) -> str:
    text = await stage.say("hello")
    settings = await stage.simulator.fetch_settings(NAME)
    return f"{text} {settings.introduction_message}"


@scene(
    "habits/reading_reports",
    expected="feedback like, reaction heart POST, error too slow {'seconds': 7}, stored like, stored heart",
)
async def report(stage: Stage) -> str:
    await stage.say("hello")
    message_id = stage.replies[0].message_id
    await stage.simulator.report_feedback(message_id, "like", "because")
    await stage.simulator.report_reaction(message_id, "heart")
    await stage.simulator.report_error(NAME, "too slow", {"seconds": 7})
    return await stage.say("And?", conversation=stage.replies[0])


def describe_query(request: Any) -> str:
    contents = [message.content for message in request.query]
    options = request.temperature, request.logit_bias, request.stop_sequences, request.skip_system_prompt
    return f"{contents} {options}"


scene(
    "habits/changing_the_query",
    expected="['Be brief.', 'Is a dog a dog?', 'Please.'] (0.25, {'50256': -100.0}, ['.'], True) (1 of 3)",
    models={"Model": describe_query},
)(lambda stage: stage.say("Is a cat a cat?"))
scene("habits/dataclass_bot", expected="Program: moin hello")(hello)


@scene("habits/several_bases", expected="you said one 1 you said two 2 hello")
async def combine(stage: Stage) -> str:
    return " ".join([await stage.say(text) for text in ("one", "two", "default")])


@scene("habits/all_kinds_of_events", expected="again![b][]other")
async def show_events(stage: Stage) -> str:
    return re.sub(r"(?<=\[)\w{8}(?=\])", "", await stage.say("hello"))


scene(
    "habits/calling_functions_itself",
    expected='find_tide says: "high in Dover"\n',
    models={"Model": tool_model},
)(hello)


scene(
    "habits/catching_errors",
    expected="no retry: True",
    models={"Failing-Model": replying(Text("so far"), Error(text="out of paint", allow_retry=False))},
)(hello)
scene(
    "habits/catching_errors",
    case="that allow a retry",
    expected="retry: True",
    models={"Failing-Model": replying(Text("so far"), Error(text="out of paint"))},
)(hello)


@scene("habits/beside_own_routes", expected="hosted {'status': 'up'} {'version': 3} 200 404", path="/bot")
async def other_routes(stage: Stage) -> str:
    text = await stage.say("hello")
    async with httpx.AsyncClient(base_url=stage.address) as client:
        health, version, bot, none = [await client.get(path) for path in ("/health", "/version", "/bot", "/none")]
    assert bot.headers["content-type"].startswith("text/html")
    return f"{text} {health.json()} {version.json()} {bot.status_code} {none.status_code}"


scene("habits/through_httpx", expected="naïve hello", models={"Model": quote})(hello)
scene(
    "habits/several_calls_at_once",
    expected="**Model**: naïve hello\n\n**Other-Model**: short\n\n",
    models={"Model": quote, "Other-Model": replying(Text("long"), ReplaceResponse("short"))},
)(hello)


@scene("habits/values_as_json", expected="True True 2 ValidationError ValidationError")
async def print_values(stage: Stage) -> str:
    lines = (await stage.run()).splitlines()
    return " ".join(line for line in lines if " " not in line and "{" not in line)


# Nothing starts the lifespan of a mounted application, so the settings are not pushed.
scene("habits/mounted", expected="mounted", path="/poe/", is_pushed=False, differs=frozenset({"settings", "log"}))(
    hello
)
scene("habits/old_spellings", expected="user: hello / naïve hello", models={"Model": quote})(hello)


@scene(
    "habits/tested_with_fakes",
    expected='[\'MODEL A-KEY \', \'HELLO\']\ntext {"text": "MODEL A-KEY "}\ntext {"text": "HELLO"}\ndone {}\n',
)
async def run_tests(stage: Stage) -> str:
    return await stage.run()


FILE = File("https://files.invalid/a.png", "a.png", "image/png", inline_ref="reference")
scene(
    "habits/relaying_everything",
    expected="(a.png) ['choices'] short",
    models={
        "Model": replying(
            Meta(content_type="text/plain"),
            Text("long"),
            ReplaceResponse(""),
            FILE,
            Json({"choices": []}),
            Text("short", index=1),
        )
    },
)(hello)


def counting_model(request: Any) -> Any:
    calls = {"add": {"left": 2, "right": 3}, "multiply": {"left": 2, "right": 3}}
    return ToolCaller(calls).get_response(request, None)  # pyright: ignore[reportArgumentType]


scene(
    "habits/calling_async_functions",
    expected='add says: 5\nmultiply says: {"product": 6}\n',
    models={"Model": counting_model},
)(hello)


@scene("habits/failing", expected="[None, 'user_caused_error', None, None, 'insufficient_fund']")
async def fail(stage: Stage) -> str:
    for wish in ("nothing", "error", "event", "exception", "funds"):
        await stage.say(wish)
    return str([reply.error and reply.error.error_type for reply in stage.replies])


# --- the tests


@pytest.fixture
def anyio_backend() -> str:
    """fastapi_poe leaves generators to the garbage collector, which asyncio tolerates."""
    return "asyncio"


async def play(name: str, library: str) -> tuple[str, dict[str, Any]]:
    details = SCENES[name]
    models = {name: Scripted(script) for name, script in details.models.items()}
    paths = {NAME: details.path, **details.other_paths}
    program = name.partition(" ")[0]
    pushes = len(paths) if details.is_pushed else 0
    async with playing(program, library, paths, models, balance=details.balance, pushes=pushes) as stage:
        return await details.act(stage), stage.seen()


@pytest.mark.parametrize("name", SCENES)
async def test_a_program_does_the_same(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text, ours = await play(name, "poeproto_compat")
    assert text == SCENES[name].expected
    capsys.readouterr()
    _, theirs = await play(name, "fastapi_poe")
    if crash := SCENES[name].crash:
        assert "the bot failed" in theirs["replies"]
        assert crash in capsys.readouterr().err
    else:
        differing = {part for part, value in ours.items() if value != theirs[part]}
        assert differing == SCENES[name].differs, {part: (ours[part], theirs[part]) for part in differing}


def test_each_program_has_a_scene() -> None:
    programs = {str(path.relative_to(PROGRAMS).with_suffix("")) for path in PROGRAMS.glob("*/*.py")}
    assert {name.partition(" ")[0] for name in SCENES} == programs


def test_each_section_of_the_guides_has_a_scene() -> None:
    """Those that the table of docs/guides.md has; in parentheses are other pages."""
    page = (Path(__file__).parents[2] / "docs" / "guides.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (\w[^|]*) \|", page[page.index("| in the guides |") :], re.MULTILINE)
    assert {scene.section for scene in SCENES.values()} - {""} == set(table) - {"in the guides", "page and example"}


@pytest.mark.slow
def test_pyright_accepts_the_programs(tmp_path: Path) -> None:
    """As its users' own: in its basic mode, against the installed package."""
    shutil.copytree(PROGRAMS, tmp_path / "programs", ignore=shutil.ignore_patterns("__pycache__"))
    settings = {"include": ["programs"], "typeCheckingMode": "basic", "reportUnnecessaryTypeIgnoreComment": True}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "-p", str(tmp_path), "--pythonpath", sys.executable, "--outputjson"]
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}  # suppresses the notice of a newer version
    report = json.loads(subprocess.run(command, check=False, capture_output=True, env=environment).stdout)
    problems = [f"{Path(each['file']).name}: {each['message']}" for each in report["generalDiagnostics"]]
    assert problems == []
    assert report["summary"]["filesAnalyzed"] == len(list(PROGRAMS.glob("*/*.py")))
