"""Language of a query: named where it is evident, and never of an English query."""

from __future__ import annotations

from pathlib import Path

import pytest

from repertoire.registry.query_language import foreign_language

_OWN_WORDS = Path(__file__).parents[2] / "benchmarks" / "own_words"
_LANGUAGES = {"de": "German", "fr": "French", "es": "Spanish", "zh": "Chinese"}


def lines(file: str) -> list[str]:
    return (_OWN_WORDS / file).read_text(encoding="utf-8").splitlines()


def test_g16_most_queries_in_another_language_are_known_as_such() -> None:
    rows = [line.split("\t") for line in lines("foreign.tsv")]
    told = [(foreign_language(text), _LANGUAGES[code]) for code, _, text in rows]
    assert sum(one is not None for one, _ in told) >= 0.8 * len(rows)
    assert sum(one == right for one, right in told) >= 0.8 * len(rows)


def test_no_query_in_english_is_taken_for_another() -> None:
    english = [
        line.split("\t")[-1] for file in ("queries.tsv", "plain.tsv", "unanswerable.txt") for line in lines(file)
    ]
    assert {text: told for text in english if (told := foreign_language(text))} == {}


@pytest.mark.parametrize(
    "query",
    [
        "", "?", "🙂🙂", "x", "\ud800", "café resumé", "µg/m³ α β", "die hard movies", "csv_to_json", "El Niño forecast", "was it on",
        "naïve Bayes", "über ride", "de novo genome assembly", "Rio de Janeiro weather", "sort 数 by size", "du -sh", "ls -la",
        "con air", "una", "les", "per diem", "me no es", "SELECT a FROM b",
    ],
)  # fmt: skip
def test_names_and_short_queries_do_not_count(query: str) -> None:
    assert foreign_language(query) is None


@pytest.mark.parametrize(
    ("query", "language"),
    [
        ("прогноз погоды", "Cyrillic letters"), ("天气预报", "Chinese"), ("明日の天気を教えて", "Japanese"), ("날씨 알려줘", "Korean"),
        ("توقعات الطقس", "Arabic letters"), ("bitte fasse das Dokument für mich zusammen", "German"),
        ("traduire le fichier et envoyer un mail", "French"), ("necesito un resumen de la reunión", "Spanish"),
        ("converti il documento nella cartella", "Italian"), ("quero um resumo da reunião", "Portuguese"),
        ("maak een samenvatting van het gesprek", "Dutch"),
    ],
)  # fmt: skip
def test_a_language_is_named(query: str, language: str) -> None:
    assert foreign_language(query) == language
