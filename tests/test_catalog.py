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


def test_a_column_of_another_name_is_a_category_where_its_values_are_shared() -> None:
    ids = tuple(map(str, range(9)))
    maker, dept = tuple(f"m{n}" for n in ids), ("tea",) * 5 + ("bread",) * 3 + ("",)
    unshared = {"maker": maker, "aisle": ("1",) * 9}  # as many makers as items, one aisle for all
    assert Catalog(ids, ids, {**unshared, "dept": dept}).category == ("tea",) * 5 + ("bread",) * 3 + ("other",)
    assert Catalog(ids, ids, unshared).category == ("other",) * 9
    assert Catalog(ids, ids, {"dept": dept, "Genre": maker}).category == maker, "a known name comes first"


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
