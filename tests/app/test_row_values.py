"""Sequences as rows of titles and as the moving picture, without a page."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from run_folders import HOSTILE
from styles import rules, style

from foster.ui import film, markup, titles
from foster.ui.rows import UNKNOWN, Option, Place, Row, rows_of_snapshot, without_history
from foster.ui.summary import figures


def taught(*words: str) -> list[Row]:
    places = (Place(i, (Option(f"read {i}", 1.0),), (Option(word, 0.5),)) for i, word in enumerate(words))
    return [Row(0, tuple(places))]


def test_a_snapshot_takes_what_is_read_from_the_result_when_it_cannot_change() -> None:
    shot = pd.DataFrame(
        {"sequence": [0, 0], "position": [0, 1], "items": [[1, 0], [2, 1]], "weights": [[0.4, 0.1]] * 2}
    )
    rows = rows_of_snapshot(shot, {0: "a", 1: "b"}, taught("x", "y"))
    assert [place.titles for place in rows[0].places] == [("read 0", "b"), ("read 1", UNKNOWN)]
    mixed = [Row(0, (Place(0, (Option("m", 0.6), Option("n", 0.4))),))]
    assert rows_of_snapshot(shot, {1: "b"}, mixed)[0].places[0].read == ()
    stored = shot.assign(input_items=[[0], [1]], input_weights=[[1.0], [1.0]])
    assert rows_of_snapshot(stored, {0: "a", 1: "b"}, mixed)[0].places[0].titles == ("a", "b")


def test_what_was_read_is_not_what_a_card_recommends() -> None:
    labels = (Option("b", 0.6), Option("a", 0.2), Option("c", 0.1))
    row = Row(0, (Place(0, (Option("a", 1.0),), labels), Place(1, (Option("b", 1.0),), labels)))
    (told,) = without_history([row])
    assert [place.shown.title for place in told.places] == ["b", "c"]
    assert told.places[1].labels == labels, "nothing is lost"
    assert told.matches("C") == {1}
    only_known = replace(told.places[1], labels=labels[:2])
    assert only_known.shown.title == "b"


def test_what_no_card_shows_may_be_read_in_other_readings() -> None:
    reads = (Option("a", 0.5, item=0), Option("b", 0.5, item=1))
    row = Row(0, (Place(0, reads, (Option("c", 0.6, item=2),)),))
    assert (row.matches("b"), row.reads_title("B"), row.reads_any({1})) == (frozenset(), True, True)
    assert not row.reads_title("c"), "recommended, not read"
    assert not row.reads_any({2, 3}), "recommended, not read"


def test_in_a_new_session_nothing_was_read_yet() -> None:
    labels = (Option("a", 0.6), Option("b", 0.4))
    places = [Place(n, (Option("a", 1.0),), labels, session=n // 2) for n in range(4)]
    row = Row(0, tuple(places))
    assert row.opens == {2}
    (told,) = without_history([row])
    assert [place.shown.title for place in told.places] == ["b"] * 4
    other = replace(row, places=(*places[:2], *(replace(p, read=(Option("c", 1.0),)) for p in places[2:])))
    (told,) = without_history([other])
    assert [place.shown.title for place in told.places] == ["b", "b", "a", "a"], "c was read, a was in another session"
    assert [titles.strip(told).count(f">{n} · new session<") for n in (1, 2, 3, 4)] == [0, 0, 1, 0]
    assert titles.ladder(told).count("· new session<") == 1


def test_rows_of_tables_without_sessions_are_one() -> None:
    shot = pd.DataFrame({"sequence": [0, 0], "position": [0, 1], "items": [[0], [1]], "weights": [[0.4], [0.1]]})
    assert rows_of_snapshot(shot, {})[0].opens == frozenset()
    assert rows_of_snapshot(shot.assign(session=[0, 1]), {})[0].opens == {1}


def test_the_film_shows_each_word_while_it_lasts() -> None:
    scenes = [film.Scene(0, taught("A", "B")), film.Scene(5, taught("A", "C"), 0.1)]
    picture = film.film(scenes, HOSTILE, "The log: 3 users.", "The result: 1 sequence.", "How titles condense")
    assert picture.count(">A<") == 1, "a title that stays is one word"
    assert "starts as: after read 0 comes A; after read 1 comes B" in picture
    assert "ends as: after read 0 comes A; after read 1 comes C" in picture
    assert "<script" not in picture


def test_the_film_of_a_small_set_has_fewer_titles_of_the_log_and_only_its_columns() -> None:
    wall = [f"book {n}" for n in range(film.WALL)]

    def told(rows: list[Row]) -> str:
        return film.film([film.Scene(0, rows)], wall, "The log.", "The result.", "How titles condense")

    small, large = told(taught("A", "B")), told(5 * taught(*"ABCDEFG"))
    assert sum(f">{title}<" in small for title in wall) == film.WALL // film.SEQUENCES
    assert sum(f">{title}<" in large for title in wall) == film.WALL
    assert "--columns:2" in small
    assert f"--columns:{film.POSITIONS}" in large


def test_the_wall_of_the_film_ends_above_its_caption() -> None:
    picture = film.film([film.Scene(0, taught("A"))], ["title"], "The log.", "The result.", "How titles condense")
    stage, _, caption = picture.partition('<div class="film-caption">')
    assert stage.count("<div") - 1 == stage.count("</div>"), "the stage is closed: only the picture is open"
    assert 'class="film-stage"><div class="film-wall">' in stage
    assert "The log." in caption
    wall, said = (rules(style(), name) for name in (".film-wall", ".film-caption p"))
    assert "overflow: hidden" in wall
    assert "position" not in said, "its height is that of the longest caption"


def test_a_row_leads_from_what_it_reads_first_through_what_it_teaches() -> None:
    first = Place(0, (Option("a", 0.7, 10), Option("b", 0.3, 11)), (Option("c", 0.6, 12), Option("d", 0.2, 13)))
    row = Row(0, (first, Place(1, (Option("d", 1.0, 13),), (Option("a", 0.5, 10),))))
    assert (row.course, row.reads) == ([10, 12, 10], [10, 13])
    assert row.through({12}) == {0}
    assert row.through({13}) == {1}, "an alternative is on no card"
    assert row.through({11, 99}) == set()
    assert Row(0, (Place(0, (Option("?", 1.0),)),)).course == []


def test_other_readings_are_told_without_weights_and_their_titles_are_counted() -> None:
    read = (Option("First", 0.5), Option(HOSTILE[0], 0.5))
    row = Row(0, (Place(0, read, (Option("Taught", 0.25),)), Place(1, (Option("Second", 1.0),))))
    shown = str(titles.ladder(row))
    told, others = shown.split("In other readings it reads")
    assert "25" in told
    assert "50" not in shown, "how often a reading comes is no strength of a title"
    assert str(markup.tag("bdi", markup.plain(HOSTILE[0], 70))) in others
    counted = next(each for each in figures([row]) if each.name == "Titles read")
    assert (counted.value, counted.hint) == ("3", "at 2 positions, up to 2 at each")
