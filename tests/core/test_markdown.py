from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import Attachment, File, InvalidValue
from poeproto.markdown import create_bot_url, inline_reference, make_inline_ref, markdown_image, markdown_link

URL = "https://files.invalid/a.png?x=1&y=%20#z"


def test_images_and_links() -> None:
    assert markdown_image(URL, "a cat") == f"![a cat]({URL})"
    assert markdown_image(URL) == f"![]({URL})"
    assert markdown_link(URL, "a cat") == f"[a cat]({URL})"


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("https://x.invalid/a b", "https://x.invalid/a%20b"),
        ("https://x.invalid/(a)", "https://x.invalid/%28a%29"),
        ("https://x.invalid/<é>\n", "https://x.invalid/%3C%C3%A9%3E"),
    ],
)
def test_a_url_does_not_end_early(url: str, written: str) -> None:
    assert markdown_image(url) == f"![]({written})"


@given(st.text())
def test_a_text_does_not_end_early(text: str) -> None:
    written = markdown_link("https://x.invalid/", text)
    inside = written.removeprefix("[").removesuffix("](https://x.invalid/)")
    assert "\n" not in written
    unescaped = inside.replace("\\\\", "")
    assert unescaped.count("[") == unescaped.count("\\[")
    assert unescaped.count("]") == unescaped.count("\\]")
    assert not unescaped.endswith("\\")


@pytest.mark.parametrize("url", ["", " ", "https://x.invalid/\ud83d"])
def test_no_url_no_link(url: str) -> None:
    with pytest.raises(InvalidValue):
        markdown_link(url, "x")


def test_a_file_is_referred_to_by_its_label() -> None:
    file = File("u", "cat.png", "image/png", inline_ref="a1")
    assert inline_reference(file) == "![cat.png][a1]"
    assert inline_reference(file, "A cat") == "![A cat][a1]"
    assert inline_reference(Attachment("u", "image/png", "c.png", inline_ref="b_2")) == "![c.png][b_2]"
    assert inline_reference("a1") == "![][a1]"
    with pytest.raises(InvalidValue, match=r"no label.*inline=True"):
        inline_reference(File("u", "cat.png", "image/png"))
    for label in ("", "a]b", "a b", "a\n"):
        with pytest.raises(InvalidValue, match="letters, digits"):
            inline_reference(label)


@given(st.binary(min_size=5, max_size=20))
def test_a_label_can_be_referred_to(random_bytes: bytes) -> None:
    label = make_inline_ref(random_bytes)
    assert inline_reference(label) == f"![][{label}]"


def test_a_label_takes_some_bytes() -> None:
    with pytest.raises(InvalidValue, match="got 4"):
        make_inline_ref(bytes(4))


@given(st.none() | st.text(st.characters(codec="utf-8"), min_size=1), st.none() | st.text("aB-9 é", min_size=1))
def test_the_form_for_a_new_bot_is_filled_in(prompt: str | None, base_bot: str | None) -> None:
    url = urlsplit(create_bot_url(prompt=prompt, base_bot=base_bot))
    assert (url.scheme, url.netloc, url.path) == ("https", "poe.com", "/create_bot")
    expected = {"prompt": prompt, "base_bot": base_bot}
    assert parse_qs(url.query) == {key: [value] for key, value in expected.items() if value is not None}
    assert markdown_link(url.geturl(), "make it").endswith(f"({url.geturl().replace('(', '%28')})")


def test_a_url_has_no_halves_of_characters() -> None:
    with pytest.raises(InvalidValue):
        create_bot_url(prompt="\ud83d")


def test_a_text_like_a_character_reference_is_unchanged() -> None:
    assert markdown_link("https://a.example/?x=1&lt;=2&y=3", "AT&T &amp; &#60;b") == (
        r"[AT&T \&amp; \&#60;b](https://a.example/?x=1\&lt;=2&y=3)"
    )
