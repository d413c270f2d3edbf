"""Names of models in every spelling, their aliases, and the access that an environment gives to their providers."""

from __future__ import annotations

import pytest

from repertoire.errors import BadSettings
from repertoire.providers.keys import access_in, default_model, find_access
from repertoire.providers.model_ids import UnknownModel, read_aliases, read_model, with_alias
from repertoire.settings import load


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("openai:gpt-4o", "openai:gpt-4o"),
        ("openai-chat:gpt-4o", "openai:gpt-4o"),
        ("OpenAI/gpt-4o", "openai:gpt-4o"),
        ("openai-responses:gpt-5", "openai-responses:gpt-5"),
        ("gpt-4o-mini", "openai:gpt-4o-mini"),
        ("o3", "openai:o3"),
        ("anthropic/claude-haiku-4-5", "anthropic:claude-haiku-4-5"),
        ("claude-haiku-4-5", "anthropic:claude-haiku-4-5"),
        ("google-gla:gemini-2.5-flash", "google:gemini-2.5-flash"),
        ("gemini/gemini-2.5-flash", "google:gemini-2.5-flash"),
        ("groq:meta-llama/llama-4", "groq:meta-llama/llama-4"),
        ("openrouter/anthropic/claude-haiku-4.5", "openrouter:anthropic/claude-haiku-4.5"),
        ("ollama:llama3.2:1b", "ollama:llama3.2:1b"),
        (" client ", "client"),
    ],
)
def test_every_spelling_is_read(text: str, meant: str) -> None:
    assert str(read_model(text)) == meant


@pytest.mark.parametrize(
    "text", ["", "llama3.2", "nobody:model", "openai:", ":x", "a\nb", "x" * 300, "orca-2", "clauded"]
)
def test_what_names_no_model_is_refused(text: str) -> None:
    with pytest.raises(UnknownModel):
        read_model(text)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("gpt-4o-mini", "ollama:llama3.2"),
        ("openai:gpt-4o-mini", "ollama:llama3.2"),
        ("openai/gpt-4o-mini", "ollama:llama3.2"),
        ("GPT-4o-mini", "ollama:llama3.2"),
        ("anthropic/claude-haiku-4-5", "groq:llama"),
        ("mine", "openai:gpt-4o"),
        ("openai:gpt-5", "openai:gpt-5"),
        ("ollama:llama3.2", "ollama:llama3.2"),
    ],
)
def test_an_alias_counts_in_every_spelling(text: str, asked: str) -> None:
    aliases = {
        "gpt-4o-mini": "ollama:llama3.2",
        "anthropic:claude-haiku-4-5": "groq:llama",
        "mine": "openai:gpt-4o",
        "llama3.2": "ollama:llama3.2",
    }
    assert str(with_alias(text, aliases)) == asked


def test_a_star_is_every_other_model() -> None:
    aliases = read_aliases("gpt-4o=openai:gpt-5, *=client")
    assert [str(with_alias(one, aliases)) for one in ("gpt-4o", "claude-x", "whatever")] == [
        "openai:gpt-5",
        "client",
        "client",
    ]


def test_a_key_never_goes_to_the_address_of_another_environment() -> None:
    host, server = (
        {"OPENAI_BASE_URL": "http://host/v1"},
        {"OPENAI_API_KEY": "secret", "OPENAI_BASE_URL": "http://server/v1"},
    )
    assert find_access("openai", (host, server)) == ("", "http://host/v1", "OPENAI_API_KEY")
    assert find_access("openai", ({}, server)) == ("secret", "http://server/v1", "OPENAI_API_KEY")
    assert find_access("openai", ({"OPENAI_API_KEY": "own"}, server)) == (
        "own",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
    )
    assert find_access("groq", (host, server)) is None
    assert "secret" not in repr(access_in("openai", server))


def test_the_default_is_the_first_provider_with_a_key() -> None:
    assert str(default_model(({},))) == "client"
    assert str(default_model(({}, {"GROQ_API_KEY": "x"}))) == "groq:llama-3.3-70b-versatile"
    assert default_model(({"GOOGLE_API_KEY": "x"}, {"OPENAI_API_KEY": "y"})).provider == "google"
    assert str(default_model(({"OPENAI_API_KEY": "x"},), "anthropic/claude-haiku-4-5")) == "anthropic:claude-haiku-4-5"


@pytest.mark.parametrize("name", ["default_model", "model_aliases"])
def test_a_setting_that_names_no_model_is_refused(name: str) -> None:
    text = "nonsense" if name == "default_model" else "gpt-4o=nonsense"
    with pytest.raises(BadSettings, match=r"nonsense|gpt-4o"):
        load(home="/nowhere", environ={f"REPERTOIRE_{name.upper()}": text})
