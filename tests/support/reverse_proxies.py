"""nginx, Caddy and HAProxy as docs/howto/reverse_proxy.md configures them, in front of a port of the test's choice."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import pytest

from .asgi_processes import SECONDS, wait_until_listening
from .reserved_port import ReservedPort
from .tls_peer import Certificate

PAGE = Path(__file__).parents[2] / "docs/howto/reverse_proxy.md"
UPSTREAM = "127.0.0.1:8080"  # on the page


@attrs.frozen
class Settings:
    """The values that complete a configuration."""

    folder: Path
    port: int
    certificate: Certificate


@attrs.frozen
class Kind:
    """A proxy program.

    Attributes:
        program: its executable.
        complete: makes a whole configuration of the page's; fails if that has other addresses than expected.
        arguments: of the program, which stays in the foreground. {file} is its configuration.
        quick: shorter timeouts, for those of the page.
    """

    program: str
    complete: Callable[[str, Settings], str]
    arguments: str
    quick: Mapping[str, str]


def _nginx(text: str, settings: Settings) -> str:
    addresses = {
        "listen 443 ssl": f"listen 127.0.0.1:{settings.port} reuseport ssl",
        "/etc/ssl/bots.example.com.pem": str(settings.certificate.file),
        "/etc/ssl/bots.example.com.key": str(settings.certificate.key),
    }
    folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folder_lines = "".join(f"    {name}_temp_path {settings.folder}/{name};\n" for name in folders)
    start = f"daemon off;\nmaster_process off;\npid {settings.folder}/pid;\nerror_log stderr;\nevents {{}}\n"
    return f"{start}http {{\n    access_log off;\n{folder_lines}{replace_all(text, addresses)}}}\n"


def _caddy(text: str, settings: Settings) -> str:
    tls = f"    tls {settings.certificate.file} {settings.certificate.key}\n"
    options = "    admin off\n    auto_https disable_redirects\n    default_bind 127.0.0.1\n"
    replacements = {
        "{\n    servers {\n": f"{{\n{options}    servers {{\n",
        "bots.example.com {\n": f":{settings.port} {{\n{tls}",
    }
    return replace_all(text, replacements)


def _haproxy(text: str, settings: Settings) -> str:
    both = settings.folder / "both.pem"
    both.write_bytes(settings.certificate.file.read_bytes() + settings.certificate.key.read_bytes())
    return replace_all(
        text, {"bind :443 ": f"bind 127.0.0.1:{settings.port} ", "/etc/haproxy/bots.example.com.pem": str(both)}
    )


KINDS = {
    "nginx": Kind(
        "nginx",
        _nginx,
        "-e stderr -p {folder} -c {file}",
        {"client_body_timeout 10s": "client_body_timeout 200ms"},
    ),
    "caddyfile": Kind(
        "caddy",
        _caddy,
        "run --adapter caddyfile --config {file}",
        # Within it Caddy also has to accept the connection and to forward the head, on a busy machine too.
        {"read_body 60s": "read_body 2s"},
    ),
    "haproxy": Kind(
        "haproxy",
        _haproxy,
        "-db -f {file}",
        {"timeout http-request 10s": "timeout http-request 400ms", "timeout connect 5s": "timeout connect 100ms"},
    ),
}


@attrs.frozen
class Proxy:
    """A running proxy.

    Attributes:
        name: the executable's.
        port: of its https address.
        upstream: the port that it forwards to.
        certificate: its own.
    """

    name: str
    port: int
    upstream: ReservedPort
    certificate: Certificate

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}/"


def configuration(language: str) -> str:
    """The page's configuration in this language."""
    [text] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return text


def replace_all(text: str, replacements: Mapping[str, str]) -> str:
    """Replace each key, which must occur once, by its value."""
    for old, new in replacements.items():
        assert text.count(old) == 1, f"{old!r} must occur once in {text}"
        text = text.replace(old, new)
    return text


@contextmanager
def running(language: str, folder: Path, certificate: Certificate, *, is_quick: bool = False) -> Generator[Proxy]:
    """Run a proxy, and end it on exit. The test is skipped if it is not installed; CI requires it.

    Args:
        language: of the page's configuration, a key of `KINDS`.
        folder: for its files.
        certificate: that it presents.
        is_quick: have short timeouts, for a test that waits for them.
    """
    kind = KINDS[language]
    program = shutil.which(kind.program, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        assert not os.environ.get("CI"), f"{kind.program} is not installed; .ci/run installs it"
        pytest.skip(f"{kind.program} is not installed")
    upstream, reserved = ReservedPort(), ReservedPort()
    port = reserved.number
    text = replace_all(
        configuration(language), {UPSTREAM: f"127.0.0.1:{upstream.number}", **(kind.quick if is_quick else {})}
    )
    file = folder / "configuration"
    file.write_text(kind.complete(text, Settings(folder, port, certificate)))
    command = [program, *kind.arguments.format(folder=folder, file=file).split()]
    environment = {**os.environ, "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, start_new_session=True, stdout=log, stderr=log) as process,
    ):
        try:
            wait_until_listening(process, port, folder / "log")
            yield Proxy(kind.program, port, upstream, certificate)
        finally:
            upstream.close()
            reserved.close()
            with suppress(ProcessLookupError):  # it has ended
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(SECONDS)
