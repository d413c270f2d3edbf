"""Language of a query, where it is evident that it is not English; used by `Finder`.

Most queries are a few words, and many names of things are the same in all languages. So a query counts as English unless most of its
letters are of another script, or several of its words are function words of one other language.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from ..encoder.tokens import STOP_WORDS, WORD

_LOOKED_AT: Final = 500
"""Characters of the query."""
_LEAST_WORDS: Final = 2
_LEAST_SHARE: Final = 0.25
"""Share of the function words among all words."""
_FUNCTION_WORDS: Final = {
    "German": """aber auf aus bei bevor bin bis bitte das dem den der dich diese diesen dieser durch ein eine einem einen einer er es
        für hat habe haben ich ihm ihn ihr im ist jemand kann kein keine können mache machen mein meine meinem meinen meiner mich mir mit
        nach nicht noch nur oder ohne schon sehr sein sich sie sind über um und uns unser vom von vor was weil welche wenn wer werden
        wie will wird wo würde wir zu zum zur
        zwischen an dass doch gibt ins kannst könnte soll sollen sollte so wann warum welcher welches""",
    "French": """au aucun aussi aux avant avec ce cela ces cette ceux chaque comment dans depuis des du elle elles en est et être fais
        faire faut il ils je la le les leur leurs lui ma mais mes mon ne ni nos notre nous ou où par pas peut plus pour pourquoi qu quand
        que quel quelle qui sa sans ses si son sont sur ta tous tout toutes trop très un une veux votre vous""",
    "Spanish": """al antes como cómo con cuál cuando cuándo cuánto de del dónde el ella ellos en entre es esta está este esto fue ha hacer
        hay la las le lo los más me mi mis muy necesito ni nos nuestra nuestro para pero por porque que qué quiero quién se ser si sin
        sobre son su sus también tengo todo todos un una unos y ya""",
    "Italian": """al alla alle anche che chi come con cosa da dai dal dalla dei del della delle di dove e è fare gli ha ho i il in io la
        le lo ma mi mia mie miei mio nel nella non ogni per perché più quale quando quanto questa questo se sei senza si sono su sua suo
        sul tra tutti tutto un una uno voglio""",
    "Portuguese": """ao aos as até com como da das de do dos e é ela ele em entre essa esse esta este eu fazer isso já mais mas me meu
        meus minha muito na nas não no nos nossa nosso o onde os ou para pela pelo por porque quais qual quando quanto que quem quero se
        sem ser seu sobre sua também tem todos um uma você""",
    "Dutch": """aan al alle als bij dan dat de deze die dit door een en er geen haar heb hebben heeft het hij hoe iets ik in is je kan
        maak maar mee met mijn moet naar niet nog of om onder ons onze ook op over te tot tussen uit van veel voor waar waarom wat
        welke wie wil worden wordt zijn zonder""",
}  # fmt: skip
_OF_LANGUAGE: Final = {
    language: frozenset(words.split()) - STOP_WORDS - {"me", "no", "on", "plus", "sur", "of", "over", "son", "per", "die", "are"}
    for language, words in _FUNCTION_WORDS.items()
}  # fmt: skip
_SCRIPTS: Final = {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}


def foreign_language(query: str) -> str | None:
    """What the query is written in, such as "German" or "Cyrillic letters". None: English, or it cannot be told."""
    query = query[:_LOOKED_AT]
    return _foreign_script(query) or _foreign_words(query)


def _foreign_script(query: str) -> str | None:
    letters = [
        char for word in WORD.findall(query) if len(word) > 1 for char in word if char.isalpha()
    ]  # no symbols, such as α
    scripts = [unicodedata.name(char, "?").partition(" ")[0] for char in letters]
    foreign = [script for script in scripts if script not in ("LATIN", "MICRO")]
    if len(foreign) < _LEAST_WORDS or 2 * len(foreign) < len(scripts):
        return None
    for script in ("HIRAGANA", "KATAKANA", "HANGUL"):  # Japanese has Chinese letters too
        if script in foreign:
            return _SCRIPTS[script]
    most = max(foreign, key=foreign.count)
    return _SCRIPTS.get(most, f"{most.capitalize()} letters")


def _foreign_words(query: str) -> str | None:
    words = WORD.findall(query.lower())
    counts = {language: sum(word in known for word in words) for language, known in _OF_LANGUAGE.items()}
    language = max(counts, key=lambda one: counts[one])
    count = counts[language]
    english = sum(word in STOP_WORDS and word not in _FUNCTION_WORDS[language].split() for word in words)
    evident = count >= _LEAST_WORDS and count > 2 * english and count >= _LEAST_SHARE * len(words)
    return language if evident else None
