"""The arithmetic of semantic search on vectors made here: order, ties, filters, and that the shortcut for large shelves finds the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from repertoire.encoder.search_weights import Bound, Recipe
from support.libraries import need_numpy

if TYPE_CHECKING:
    import numpy as np

    from repertoire.encoder.scoring import Shelf
    from repertoire.encoder.vectors import Floats

DIMENSION = 64
EASY = Recipe(bound=Bound(least=-1.0, most=-1.0))
"""Everything fits."""


@pytest.fixture(autouse=True)
def _numpy() -> None:
    need_numpy()


def chance(seed: int) -> np.random.Generator:
    import numpy as np

    return np.random.default_rng(seed)


def shelf_of(matrix: Floats, texts: list[str], recipe: Recipe = EASY) -> Shelf:
    import numpy as np

    from repertoire.encoder.scoring import Documents, Shelf
    from repertoire.encoder.vectors import Vectors, unit

    vectors, documents = Vectors(matrix.shape[1]), Documents()
    vectors.append(unit(matrix))
    for row, text in enumerate(texts):
        documents.add((row, row, row), text)
    return Shelf(np.arange(len(texts), dtype=np.int32), documents, vectors, recipe)


def test_ten_thousand_equals_come_in_the_shelfs_order() -> None:
    import numpy as np

    shelf = shelf_of(np.ones((10_000, DIMENSION), np.float32), ["count sheep"] * 10_000)
    query = np.eye(DIMENSION, dtype=np.float32)[0]
    found, _ = shelf.find("sheep", query, 5, outcome=0.0)
    assert [hit.doc for hit in found[:5]] == [0, 1, 2, 3, 4] and {hit.score for hit in found} == {found[0].score}
    assert len(found) <= 55
    few, _ = shelf.find("sheep", query, 5, within=np.asarray([9_000, 17, 4_000], np.int32), outcome=0.0)
    assert [hit.doc for hit in few] == [17, 4_000, 9_000]


def test_candidates_by_sign_give_what_the_exact_scan_gives() -> None:
    random = chance(3)
    centres = random.normal(0, 1, (300, DIMENSION))
    matrix = (centres[random.integers(0, 300, 6_000)] + random.normal(0, 0.4, (6_000, DIMENSION))).astype("float32")
    words = [f"w{number}" for number in range(400)]
    texts = [" ".join(words[int(one)] for one in random.integers(0, 400, 8)) for _ in range(6_000)]
    exact = shelf_of(matrix, texts)
    short = shelf_of(matrix, texts, msgspec.structs.replace(EASY, exact_up_to=1_000))
    assert exact._signs is None and short._signs is not None
    same = 0
    for number in range(40):
        query = (centres[number] + random.normal(0, 0.4, DIMENSION)).astype("float32")
        query /= (query**2).sum() ** 0.5
        text = f"w{number} w{number + 1}"
        best = [[hit.doc for hit in shelf.find(text, query, 10, outcome=0.0)[0][:10]] for shelf in (exact, short)]
        same += len({*best[0]} & {*best[1]})
    assert same >= 0.99 * 400


def test_a_rare_word_counts_more_than_a_common_one_and_both_are_told() -> None:
    import numpy as np

    texts = ["parse xml files", "parse csv files", "count files", "delete files"]
    shelf = shelf_of(np.ones((4, DIMENSION), np.float32), texts)
    (best, *others), _ = shelf.find("parsing a csv file", np.eye(DIMENSION, dtype=np.float32)[0], 4, outcome=0.0)
    assert best.doc == 1 and best.words == ["parsing", "csv", "file"]
    assert [hit.doc for hit in others] == [0, 2, 3] and others[1].words == ["file"]


def test_nothing_is_listed_where_the_best_does_not_fit() -> None:
    import numpy as np

    matrix = np.eye(DIMENSION, dtype=np.float32)[:10]
    shelf = shelf_of(matrix, [f"thing {number}" for number in range(10)], Recipe())
    away = np.eye(DIMENSION, dtype=np.float32)[40]
    assert shelf.find("entirely foreign", away, 5)[0] == []
    assert [hit.doc for hit in shelf.find("entirely foreign", matrix[3], 5)[0]] == [3]
    assert [hit.doc for hit in shelf.find("thing 7", away, 5)[0]][:1] == [7]


def test_how_near_the_best_must_be_depends_on_among_how_many_it_was_chosen() -> None:
    import numpy as np

    matrix = np.eye(DIMENSION, dtype=np.float32)[:50]
    shelf = shelf_of(matrix, [f"thing {number}" for number in range(50)], Recipe())
    vague = np.zeros(DIMENSION, np.float32)
    vague[3], vague[60] = 0.22, (1 - 0.22**2) ** 0.5
    assert Bound().among(4) < 0.22 < Bound().among(50)
    fitting, nearest = shelf.find("entirely foreign", vague, 5)
    assert fitting == [] and [hit.doc for hit in nearest] == [3]
    tagged = np.asarray([3, 7, 8, 9], np.int32)
    assert [hit.doc for hit in shelf.find("entirely foreign", vague, 5, within=tagged)[0]] == [3]


def test_an_empty_shelf_and_vectors_that_are_no_numbers_do_no_harm() -> None:
    import numpy as np

    assert shelf_of(np.zeros((0, DIMENSION), np.float32), []).find("x", np.ones(DIMENSION, np.float32), 5) == ([], [])
    matrix = np.eye(DIMENSION, dtype=np.float32)[:3].copy()
    matrix[1] = np.nan
    found, _ = shelf_of(matrix, ["a", "b", "c"]).find("q", np.eye(DIMENSION, dtype=np.float32)[2], 3, outcome=0.0)
    assert found[0].doc == 2 and all(hit.score == hit.score for hit in found)


def test_rows_stay_what_they_are_while_the_mapped_file_grows() -> None:
    import numpy as np

    from repertoire.encoder.vectors import Vectors

    vectors, random = Vectors(DIMENSION), chance(5)
    parts = [random.normal(0, 1, (size, DIMENSION)).astype(np.float32) for size in (1, 1_000, 30, 5_000)]
    for part in parts:
        vectors.append(part)
    whole = np.concatenate(parts)
    assert vectors.count == len(whole)
    assert np.array_equal(vectors[np.arange(len(whole), dtype=np.int32)], whole)
