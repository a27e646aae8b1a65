"""Secrets are found whatever they were wrapped in, and nothing else is touched."""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.masking import STARS, Mask, userinfo

TOKEN = 'sekret/+123&ü"\\<\U0001f511'
FORMS = {
    "plain": lambda text: text,
    "url": lambda text: urllib.parse.quote(text, safe=""),
    "url with slashes": urllib.parse.quote,
    "url in lower case": lambda text: re.sub("%..", lambda found: found[0].lower(), urllib.parse.quote(text, safe="")),
    "url twice": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "form": urllib.parse.quote_plus,
    "json": lambda text: json.dumps(text)[1:-1],
    "json with slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "json, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json in json": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "url in json": lambda text: json.dumps(urllib.parse.quote(text))[1:-1],
    "html": html.escape,
    "numeric html": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "repr": lambda text: repr(text)[1:-1],
    "ascii": lambda text: ascii(text)[1:-1],
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
    "UTF-8 read as Latin-1": lambda text: text.encode().decode("latin-1"),
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, url-safe": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64, no padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_masked_wherever_it_stands(form):
    mask, wrapped = Mask([TOKEN]), FORMS[form](TOKEN)
    assert mask.text(wrapped) == STARS
    assert mask.text(f"before {wrapped} after") == f"before {STARS} after"
    assert mask.text(f"{wrapped} {wrapped}") == f"{STARS} {STARS}"


@given(st.text(st.characters(codec="utf-8"), min_size=4, max_size=40), st.sampled_from(sorted(FORMS)))
def test_any_secret_is_masked_in_every_form(secret, form):
    assert FORMS[form](secret) not in Mask([secret]).text(f"({FORMS[form](secret)})")


@given(st.text(st.characters(codec="utf-8"), min_size=8), st.binary(max_size=8), st.binary(max_size=8))
def test_a_secret_inside_what_was_encoded_is_masked(secret, before, after):
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = Mask([secret]).text(encode(before + secret.encode() + after).decode())
        assert STARS in text


@pytest.mark.parametrize("cut", [4, 7, 12])
def test_what_was_cut_is_masked_too(cut):
    mask = Mask([TOKEN])
    assert mask.text(f"Bearer {TOKEN[:cut]}... (200 characters)") == f"Bearer {STARS}... (200 characters)"
    assert mask.text(f"'long...{TOKEN[-cut:]}'") == f"'long...{STARS}'"
    assert mask.text(f"{TOKEN[:cut]} is no secret") == f"{TOKEN[:cut]} is no secret"


def test_values_are_masked_to_the_bottom():
    @dataclass(frozen=True)
    class Message:
        body: object

    mask = Mask(["sekret", "4711"])
    found = mask.value({"a sekret": [b"x\xff sekret", ("sekret", 4711, 4712, True, None)], "m": Message({"k": "my sekret"})})
    assert found == {f"a {STARS}": [b"x\xff ***", (STARS, STARS, 4712, True, None)], "m": Message({"k": f"my {STARS}"})}


def test_a_secret_that_is_part_of_another_does_not_spoil_it():
    mask = Mask(["abcd"])
    mask.learn("abcd-long")
    mask.learn(None)
    assert mask.text("abcd-long, abcd") == f"{STARS}, {STARS}"
    assert Mask([None, ""]).text("nothing to hide") == "nothing to hide"


def test_userinfo_of_a_url():
    assert userinfo("http://default:sek%2Fret@host:1/path") == "default:sek%2Fret"
    assert userinfo("http://host:1/a@b") is None
