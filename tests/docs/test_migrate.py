"""`poeproto migrate`: what is rewritten, what is left, and what is listed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poeproto_cli.commands import main
from poeproto_cli.migration import Migrated, Note
from poeproto_cli.python_migration import migrate_python
from poeproto_cli.requirements_migration import migrate_pyproject, migrate_requirements

PAGE = Path(__file__).parents[2] / "docs" / "migrating.md"


def migrate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["migrate", *map(str, arguments)])


def texts(notes: object) -> list[str]:
    assert isinstance(notes, (list, tuple))
    return [note.text for note in notes if isinstance(note, Note)]


IMPORTS = {
    "import fastapi_poe": "import poeproto_compat",
    "import fastapi_poe as fp": "import poeproto_compat as fp",
    "import os, fastapi_poe as fp, sys  # why": "import os, poeproto_compat as fp, sys  # why",
    "import fastapi_poe.types": "import poeproto_compat.types",
    "import fastapi_poe.types as t": "import poeproto_compat.types as t",
    "from fastapi_poe.types import (\n    QueryRequest,  # one\n    PartialResponse as P,\n)": (
        "from poeproto_compat.types import (\n    QueryRequest,  # one\n    PartialResponse as P,\n)"
    ),
    "from \\\n    fastapi_poe import types": "from \\\n    poeproto_compat import types",
    "from fastapi_poe.types import *": "from poeproto_compat.types import *",
    "if True:\n\ttry:\n\t\timport fastapi_poe as fp\n\texcept ImportError: fp = None": (
        "if True:\n\ttry:\n\t\timport poeproto_compat as fp\n\texcept ImportError: fp = None"
    ),
    "é = 'ü'; import fastapi_poe as fp; 'ß'": "é = 'ü'; import poeproto_compat as fp; 'ß'",
    "import fastapi_poe.types\nx: fastapi_poe.types.QueryRequest = fastapi_poe.types.User(id='é')": (
        "import poeproto_compat.types\nx: poeproto_compat.types.QueryRequest = poeproto_compat.types.User(id='é')"
    ),
    "import fastapi_poe\ndef f(fastapi_poe): ...": "import poeproto_compat as fastapi_poe\ndef f(fastapi_poe): ...",
}


@pytest.mark.parametrize("program", IMPORTS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_imports_are_rewritten_and_nothing_else(program: str, end: str) -> None:
    migrated = migrate_python(program.replace("\n", end))
    assert migrated.text == IMPORTS[program].replace("\n", end)
    assert migrated.places >= 1
    assert migrated.notes == []


LEFT = [
    "from . import fastapi_poe",
    "from .fastapi_poe import x",
    "x = 'fastapi_poe.types'",
    "'''A bot of fastapi_poe.'''",
    "REQUIREMENTS = ['fastapi-poe==0.0.48']",
    "import fastapi_poet",
    "# import fastapi_poe as fp",
]


@pytest.mark.parametrize("program", LEFT)
def test_relative_imports_and_strings_are_left(program: str) -> None:
    migrated = migrate_python(program)
    assert (migrated.text, migrated.places) == (program, 0)
    assert len(migrated.notes) == (not program.startswith(("#", "import")))


BY_HAND = {
    "from fastapi_poe.types import Nothing": "poeproto_compat.types has no name Nothing",
    "import fastapi_poe as fp\nfp.types.Nothing": "poeproto_compat.types has no name Nothing",
    "from fastapi_poe import types as t\nt.Nothing": "poeproto_compat.types has no name Nothing",
    "import fastapi_poe.samples.echo": "there is no module poeproto_compat.samples.echo",
    "from fastapi_poe.samples.echo import EchoBot": "there is no module poeproto_compat.samples.echo",
    "patch('fastapi_poe.client.stream_request')": "write 'poeproto_compat.client.stream_request'",
    "image = ['fastapi-poe>=0.0.44']": "'fastapi-poe>=0.0.44' in a string: if it is installed from there, write",
    "from modal import App": "Modal runs the application as before; have its image install 'poeproto[hypercorn]'",
    "import modal": "Modal runs the application as before",
    "import fastapi_poe as fp\nfp.stream_request(1, session=s)": "session= takes httpx's clients",
    "import fastapi_poe as fp\napp = fp.make_app(b)\n@app.get('/')\ndef f(): ...": "app.get needs FastAPI or Starlette",
    "import fastapi_poe as fp\napp = fp.make_app(b)\napp.include_router(r)": "app.include_router needs FastAPI",
    "import fastapi_poe as fp\nfp.make_app(b, app=app)": "make_app(app=...) mounts the bots in your application",
    "import fastapi_poe as fp\nhost.mount('/bot', fp.make_app(b))": "a mounted application does not send",
    "from fastapi_poe import make_app\nbots = make_app(b)\nhost.mount('/', app=bots)": "a mounted application does not",
    "from . import fastapi_poe": "a module of the project's own is named fastapi_poe",
    "import fastapi_poe.types\nfastapi_poe = 1": "the name fastapi_poe is assigned here too",
}


@pytest.mark.parametrize("program", BY_HAND)
def test_manual_changes_are_listed_with_place_and_section(program: str) -> None:
    migrated = migrate_python(program)
    [note] = [note for note in migrated.notes if BY_HAND[program] in note.text]
    assert 1 <= note.line <= program.count("\n") + 1
    assert f"\n### {note.anchor}\n" in PAGE.read_text(encoding="utf-8").lower()


IMAGES = {
    "image.pip_install('fastapi-poe==0.0.48', \"requests\")": "image.pip_install('poeproto[hypercorn]', \"requests\")",
    "image.uv_pip_install(['fastapi_poe'])": "image.uv_pip_install(['poeproto[hypercorn]'])",
    "NEEDED = [\n    'é', 'fastapi-poe',\n]\nimage.pip_install(*NEEDED)": (
        "NEEDED = [\n    'é', 'poeproto[hypercorn]',\n]\nimage.pip_install(*NEEDED)"
    ),
}


@pytest.mark.parametrize("program", IMAGES)
def test_the_requirements_of_modals_images_are_rewritten(program: str) -> None:
    migrated = migrate_python(f"import modal\n{program}")
    assert migrated == Migrated(f"import modal\n{IMAGES[program]}", 1, [])


def test_modal_is_noted_once() -> None:
    migrated = migrate_python("import os\nfrom modal import App\nimport modal\nimage.pip_install('requests')\n")
    assert [note.line for note in migrated.notes] == [2]


def test_the_application_of_modal_is_not_the_application_of_the_bot() -> None:
    program = "from fastapi_poe import make_app\napp = App('a')\n@app.function()\ndef f():\n    app = make_app(b)\n"
    assert not any("FastAPI" in text for text in texts(migrate_python(program).notes))


REQUIREMENTS = {
    "fastapi-poe==0.0.48": "poeproto[hypercorn]",
    "fastapi_poe": "poeproto[hypercorn]",
    "FastAPI.Poe[x] >= 0.0.1, < 1  # bots": "poeproto[hypercorn]  # bots",
    "fastapi_poe~=0.0.48 ; python_version > '3'": "poeproto[hypercorn] ; python_version > '3'",
    "a==1\r\nfastapi-poe==0.0.48\r\nb": "a==1\r\npoeproto[hypercorn]\r\nb",
    "fastapi-poet==1\nmy-fastapi-poe": "fastapi-poet==1\nmy-fastapi-poe",
}


@pytest.mark.parametrize("text", REQUIREMENTS)
def test_requirements(text: str) -> None:
    assert migrate_requirements(text).text == REQUIREMENTS[text]


def test_requirements_with_hashes_are_left() -> None:
    text = "fastapi-poe==0.0.48 --hash=sha256:00\n"
    migrated = migrate_requirements(text)
    assert (migrated.text, migrated.places) == (text, 0)
    assert texts(migrated.notes) == ["mentions the package: fastapi-poe==0.0.48 --hash=sha256:00"]


def test_pyproject() -> None:
    text = (
        "dependencies = [\n    'fastapi-poe>=0.0.21; x', # a\n]\n[tool.poetry.dependencies]\nfastapi-poe = \"^0.0.7\"\n"
    )
    assert migrate_pyproject(text).text == (
        "dependencies = [\n    'poeproto[hypercorn]; x', # a\n]\n[tool.poetry.dependencies]\n"
        'poeproto = { version = "*", extras = ["hypercorn"] }\n'
    )


def test_the_name_of_a_fork_is_kept() -> None:
    text = "[project]\nname = 'fastapi_poe'\ndependencies = ['fastapi-poe']\n"
    assert migrate_pyproject(text).text == "[project]\nname = 'fastapi_poe'\ndependencies = ['poeproto[hypercorn]']\n"


def test_comments_of_pip_compile_are_not_listed() -> None:
    migrated = migrate_requirements("fastapi-poe==0.0.48\n    # via bots\nhttpx==0.27\n    # via fastapi-poe\n")
    assert (migrated.places, migrated.notes) == (1, [])


def make_project(folder: Path) -> None:
    """A project with typical files."""
    files = {
        "bot.py": b"\xef\xbb\xbfimport fastapi\r\nimport fastapi_poe.types as t\r\nx = '\xc3\xa9'\r\n",
        "latin.py": b"# coding: latin-1\nfrom fastapi_poe.types import User  # \xe9\n",
        "sub/plain.py": b"import os\n",
        "sub/broken.py": b"import fastapi_poe as fp\nkey=<YOUR_KEY>\n",
        "requirements-dev.txt": b"fastapi_poe==0.0.83\n",
        "Dockerfile": b"RUN pip install fastapi-poe\n",
        "uv.lock": b'\nname = "fastapi-poe"\nx = "fastapi_poe.whl"\n',
        ".venv/lib/a.py": b"import fastapi_poe\n",
        "env/pyvenv.cfg": b"",
        "env/a.py": b"import fastapi_poe\n",
        "data.bin": b"\xff fastapi_poe",
        "README.md": b"fastapi_poe\n",
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def test_a_project_is_rewritten_and_the_rest_listed(tmp_path: Path) -> None:
    make_project(tmp_path)
    result = migrate(tmp_path)
    assert result.exit_code == 0
    assert result.output.replace(f"{tmp_path}/", "").splitlines() == [
        "rewrote bot.py: 1 place",
        "rewrote latin.py: 1 place",
        "rewrote requirements-dev.txt: 1 place",
        "By hand, as docs/migrating.md says:",
        "  Dockerfile:1: mentions the package: RUN pip install fastapi-poe (#requirements)",
        "  sub/broken.py:2: not Python, so it was left as it is: invalid syntax (#syntax)",
        "  uv.lock:2: locks the old requirements: lock them again (#requirements)",
        "  bot.py:1: fastapi came with fastapi_poe: add fastapi to the requirements (#requirements)",
    ]
    expected = b"\xef\xbb\xbfimport fastapi\r\nimport poeproto_compat.types as t\r\nx = '\xc3\xa9'\r\n"
    assert (tmp_path / "bot.py").read_bytes() == expected
    latin = b"# coding: latin-1\nfrom poeproto_compat.types import User  # \xe9\n"
    assert (tmp_path / "latin.py").read_bytes() == latin
    assert (tmp_path / "requirements-dev.txt").read_text() == "poeproto[hypercorn]\n"
    assert "fastapi_poe" in (tmp_path / ".venv/lib/a.py").read_text()
    assert "fastapi_poe" in (tmp_path / "env/a.py").read_text()
    assert migrate(tmp_path, "--check").exit_code == 0


def test_check_shows_a_diff_and_rewrites_nothing(tmp_path: Path) -> None:
    make_project(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    result = migrate(tmp_path, "--check")
    assert result.exit_code == 1
    assert "-import fastapi_poe.types as t\n+import poeproto_compat.types as t\n" in result.output
    assert "-fastapi_poe==0.0.83\n+poeproto[hypercorn]\n" in result.output
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_one_file(tmp_path: Path) -> None:
    program = tmp_path / "bot.py"
    program.write_text("from fastapi_poe.types import User\n")
    assert migrate(program).output == f"rewrote {program}: 1 place\n"
    assert program.read_text() == "from poeproto_compat.types import User\n"
    assert migrate(program).output == "nothing to rewrite: no file imports fastapi_poe or requires it\n"


def test_a_project_with_a_module_of_that_name_keeps_its_imports(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text("import os\nimport fastapi_poe\n")
    (tmp_path / "fastapi_poe.py").write_text("")
    result = migrate(tmp_path)
    assert (
        f"{tmp_path}/bot.py:2: the project has a fastapi_poe of its own; its imports are left (#names)" in result.output
    )
    assert "import fastapi_poe\n" in (tmp_path / "bot.py").read_text()


def test_only_a_package_of_that_name_is_a_module_of_the_project(tmp_path: Path) -> None:
    """A folder is not one: it may hold a clone of fastapi_poe, whose own programs import itself."""
    clone = tmp_path / "fastapi_poe" / "src" / "fastapi_poe"
    clone.mkdir(parents=True)
    (clone / "__init__.py").write_text("")
    for file in (clone / "base.py", tmp_path / "bot.py"):
        file.write_text("import fastapi_poe\n")
    migrate(tmp_path)
    assert (clone / "base.py").read_text() == "import fastapi_poe\n"
    assert (tmp_path / "bot.py").read_text() == "import poeproto_compat\n"


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    assert migrate(tmp_path / "nothing").exit_code == 2
