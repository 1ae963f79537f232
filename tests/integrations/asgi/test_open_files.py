"""The limit of open files: raised as far as it may be, and a warning where that is little."""

from __future__ import annotations

import resource

import pytest

from poeproto_asgi.open_files import raise_open_files

UNLIMITED = resource.RLIM_INFINITY


class Limits:
    """The limits of a system, which allows soft ones up to `most` whatever the hard one is."""

    def __init__(self, soft: int, hard: int, most: int) -> None:
        self.soft, self.hard, self.most = soft, hard, most

    def getrlimit(self, kind: int) -> tuple[int, int]:
        assert kind == resource.RLIMIT_NOFILE
        return self.soft, self.hard

    def setrlimit(self, kind: int, limits: tuple[int, int]) -> None:
        if limits[0] > self.most:
            raise ValueError("current limit exceeds maximum limit")
        self.soft, hard = limits
        assert (kind, hard) == (resource.RLIMIT_NOFILE, self.hard)


@pytest.mark.parametrize(
    ("soft", "hard", "most", "raised"),
    [
        pytest.param(1024, 524_288, 10**9, 524_288, id="to the hard limit"),
        pytest.param(1024, 10**9, 10**9, 1_048_576, id="an enormous hard limit"),
        pytest.param(256, UNLIMITED, 10_240, 10_240, id="a system that allows fewer than it says"),
        pytest.param(256, UNLIMITED, 100, 256, id="a system that allows none of these"),
        pytest.param(2_000_000, UNLIMITED, 10**9, 2_000_000, id="already more"),
        pytest.param(UNLIMITED, UNLIMITED, 10**9, UNLIMITED, id="already all"),
        pytest.param(1024, 4095, 10**9, 4095, id="few"),
    ],
)
def test_the_soft_limit_is_raised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, soft: int, hard: int, most: int, raised: int
) -> None:
    limits = Limits(soft, hard, most)
    monkeypatch.setattr(resource, "getrlimit", limits.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", limits.setrlimit)
    raise_open_files()
    assert limits.soft == raised
    expected = f"this process may open {raised} files, so it serves fewer connections than that; raise the hard limit"
    assert [record.getMessage().startswith(expected) for record in caplog.records] == [True] * (-1 < raised < 4096)
