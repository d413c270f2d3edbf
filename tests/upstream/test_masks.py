from __future__ import annotations

import io
import json
import logging
from urllib.parse import quote

from repertoire.upstream.masks import Masks, masked_logs
from repertoire.upstream.tool import Blob


def test_a_secret_is_replaced_by_its_name_in_every_form() -> None:
    masks = Masks()
    secret = 'p"ä/ss\nword'
    masks.add(secret, "TOKEN")
    for form in (secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False), quote(secret, safe="")):
        assert secret not in masks.mask(f"before {form} after")
        assert "[secret TOKEN]" in masks.mask(f"before {form} after")


def test_the_longer_of_two_secrets_is_replaced_first() -> None:
    masks = Masks()
    masks.add("abcdef", "SHORT")
    masks.add("abcdefgh", "LONG")
    assert masks.mask("abcdefgh abcdef") == "[secret LONG] [secret SHORT]"


def test_short_texts_are_no_secrets() -> None:
    masks = Masks()
    masks.add("1", "N")
    masks.add("", "EMPTY")
    assert masks.mask("1 is 1") == "1 is 1"


def test_json_is_masked_inside() -> None:
    masks = Masks()
    masks.add("secret-1", "S")
    blob = Blob(b"secret-1", "text/plain")
    value = {"secret-1": ["a secret-1", 1, None, blob]}
    assert masks.mask_json(value) == {"[secret S]": ["a [secret S]", 1, None, blob]}
    assert value == {"secret-1": ["a secret-1", 1, None, blob]}


def test_the_log_shows_no_secret() -> None:
    """Not in the message, in its arguments or in the traceback. Addresses at the level INFO are left out."""
    masks = Masks()
    masks.add("very-secret", "TOKEN")
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with masked_logs(masks):
            logging.getLogger("any").info("a %s and very-secret", ["very-secret"])
            logging.getLogger("httpx2").info("GET http://x/?q=arguments")
            try:
                raise ValueError("very-secret is wrong")
            except ValueError:
                logging.getLogger("any").exception("it failed")
        logging.getLogger("httpx2").info("GET again")
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    shown = written.getvalue()
    assert "very-secret" not in shown
    assert shown.startswith("a ['[secret TOKEN]'] and [secret TOKEN]\nit failed\nTraceback")
    assert "ValueError: [secret TOKEN] is wrong" in shown
    assert "arguments" not in shown
    assert "GET again" in shown
