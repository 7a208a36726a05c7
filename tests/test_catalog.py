"""The catalogue: ids, titles, texts, categories."""

from __future__ import annotations

import re

import pytest

from foster.catalog import Catalog


def test_index_is_the_inverse_of_ids() -> None:
    catalog = Catalog(("b", "007", "a"), ("B", "Bond", "A"))
    assert catalog.index() == {"b": 0, "007": 1, "a": 2}
    assert len(catalog) == 3


def test_text_is_title_then_nonempty_fields_in_column_order() -> None:
    catalog = Catalog(
        ("1", "2"),
        ("Emma", "Dune"),
        {"author": ("Jane Austen", ""), "genre": ("Romance", "Sci-Fi"), "series": ("", " ")},
    )
    assert catalog.texts == ("Emma; author: Jane Austen; genre: Romance", "Dune; genre: Sci-Fi")


def test_text_is_one_line_of_at_most_2000_characters() -> None:
    catalog = Catalog(
        ("1", "2", "3"), ("a\r\n\tb \u00a0 c\x1b[31m", "x" * 10_000, "y" * 1_999), {"f": ("", "lost", "v")}
    )
    assert catalog.texts[0] == "a b c [31m"
    assert catalog.texts[1] == "x" * 2_000
    assert catalog.texts[2] == "y" * 1_999 + ";"
    assert catalog.titles[1] == "x" * 10_000


def test_markup_in_a_title_stays_plain_text() -> None:
    title = "<script>alert('1')</script>"
    assert Catalog(("1",), (title,)).texts == (title,)


@pytest.mark.parametrize(
    ("fields", "category"),
    [
        ({}, "other"),
        ({"author": ("Austen",)}, "other"),
        ({"genre": ("",)}, "other"),
        ({"genres": ("Animation|Comedy",)}, "Animation"),
        ({"category": (" Food , Bars",)}, "Food"),
        ({"category": ("|Drama",)}, "Drama"),
        ({"brand": ("Acme, Inc.",)}, "Acme"),
        ({"brand": ("Acme",), "genre": ("Drama",)}, "Drama"),
        ({"genre": ("",), "genres": ("Drama",)}, "other"),
    ],
)
def test_category_is_the_first_value_of_the_first_known_field(
    fields: dict[str, tuple[str, ...]], category: str
) -> None:
    assert Catalog(("1",), ("One",), fields).category == (category,)


IDS = tuple(map(str, range(9)))
MAKER, DEPT = tuple(f"m{n}" for n in IDS), ("tea",) * 5 + ("bread",) * 3 + ("",)


@pytest.mark.parametrize(
    "other",
    [
        {"maker": MAKER},  # as many as items
        {"aisle": ("one",) * 9},
        {"brand": ("",) * 9},  # a known name that tells nothing
        {"Category": ("Acme",) * 9},
        {"price": ("1.99",) * 5 + ("2.49",) * 4},
        {"picture": ("https://x/a.png",) * 5 + ("https://x/b.png",) * 4},
        {"prize": ("Booker",) * 1 + ("Hugo",) * 3 + ("",) * 5},  # of less than half
    ],
)
def test_a_column_of_another_name_is_a_category_where_its_values_are_shared(other: dict[str, tuple[str, ...]]) -> None:
    kinds = ("tea",) * 5 + ("bread",) * 3 + ("other",)
    assert Catalog(IDS, IDS, {**other, "dept": DEPT}).category == kinds
    assert len({*Catalog(IDS, IDS, other).category}) == 1


def test_a_known_name_comes_first_whatever_its_case() -> None:
    assert Catalog(IDS, IDS, {"dept": DEPT, "Genre": MAKER}).category == MAKER


def test_category_of_a_path_is_its_first_level_that_tells_items_apart() -> None:
    paths = ("Games > PC > Puzzle", "Games > Wii ; Games > PC", "Games", "", "Games > PC, Toys > Dolls")
    catalog = Catalog(("1", "2", "3", "4", "5"), ("a", "b", "c", "d", "e"), {"category": paths})
    assert catalog.category == ("PC", "Wii", "Games", "other", "PC")


def test_fingerprint_changes_with_ids_and_texts_and_nothing_else() -> None:
    catalog = Catalog(("1", "2"), ("a", "b"), {"genre": ("x", "")})
    assert re.fullmatch("[0-9a-f]{64}", catalog.fingerprint)
    assert catalog.fingerprint == Catalog(("1", "2"), ("a", "b"), {"genre": ("x", "")}).fingerprint
    others = [
        Catalog(("2", "1"), ("a", "b"), {"genre": ("x", "")}),
        Catalog(("1", "2"), ("b", "a"), {"genre": ("x", "")}),
        Catalog(("1", "2"), ("a", "b"), {"genre": ("", "x")}),
        Catalog(("1", "2"), ("a", "b"), {"genres": ("x", "")}),
    ]
    assert len({catalog.fingerprint, *(other.fingerprint for other in others)}) == 5


@pytest.mark.parametrize(
    ("ids", "titles", "fields", "message"),
    [
        ((), (), {}, "at least one item"),
        (("1", "1"), ("a", "b"), {}, "unique"),
        (("1", "2"), ("a",), {}, "titles"),
        (("1",), ("a",), {"genre": ()}, "genre"),
        (("",), ("a",), {}, "not be empty"),
        (("1",), ("",), {}, "not be empty"),
    ],
)
def test_an_invalid_catalogue_cannot_be_built(ids: tuple, titles: tuple, fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Catalog(ids, titles, fields)
