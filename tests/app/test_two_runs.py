"""Two runs side by side on Sequences: each sequence beside the one of the other run most like it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from run_folders import HOSTILE, TITLES, lay_run
from streamlit.testing.v1 import AppTest
from visits import RUN, markup, untagged, visit

from foster.ui.pairs import MATCHED, Pair, in_common, pairs
from foster.ui.rows import Option, Place, Row

FIRST, SECOND = RUN, "20260921-1100-foster-sample-0002"


def row(number: int, *titles: str) -> Row:
    """One that teaches these titles, in order."""
    return Row(number, tuple(Place(at, (), (Option(title, 1.0),)) for at, title in enumerate(titles)))


def beside(found: list[Pair]) -> list[int | None]:
    return [pair.other.number if pair.other else None for pair in found]


def test_every_sequence_stands_beside_the_one_that_shares_the_most_titles() -> None:
    mine = [row(0, "a", "b", "c"), row(1, "d", "e", "f"), row(2, "g", "h", "i")]
    theirs = [row(0, "d", "e", "x"), row(1, "g", "y", "z"), row(2, "a", "b", "c")]
    found = pairs(mine, theirs)
    assert beside(found) == [2, 0, 1]
    assert [pair.shared for pair in found] == [{"a", "b", "c"}, {"d", "e"}, {"g"}]
    assert [pair.row for pair in found] == mine, "in the order of the page's own run"


def test_each_of_the_others_stands_beside_one_sequence_only() -> None:
    mine = [row(0, "a", "b"), row(1, "a", "b", "c")]
    assert beside(pairs(mine, [row(5, "a", "b", "c")])) == [None, 5]
    assert beside(pairs(mine, [row(5, "a", "b", "c"), row(6, "q")])) == [6, 5], "what shares nothing takes what is left"


def test_of_equals_the_one_of_the_same_number_stands_beside() -> None:
    mine = [row(number, "a") for number in range(3)]
    assert beside(pairs(mine, [row(number, "a") for number in (2, 1, 0)])) == [0, 1, 2]


@pytest.mark.parametrize(("mine", "theirs"), [([], []), ([], [row(0, "a")]), ([row(0, "a")], []), ([row(0)], [row(0)])])
def test_nothing_to_compare_is_no_error(mine: list[Row], theirs: list[Row]) -> None:
    found = pairs(mine, theirs)
    assert len(found) == len(mine)
    assert not any(pair.shared for pair in found)
    assert in_common(mine, theirs)[1] == 0


def test_a_title_that_is_not_known_is_nothing_in_common() -> None:
    empty = Row(0, (Place(0), Place(1)))
    assert pairs([empty], [empty])[0].shared == frozenset()


def test_very_many_sequences_stand_beside_those_of_their_place() -> None:
    many = [row(number, "a", f"t{number}") for number in range(MATCHED + 1)]
    assert beside(pairs(many, many[::-1])) == list(range(MATCHED, -1, -1))


def test_titles_in_common_are_counted_once() -> None:
    assert in_common([row(0, "a", "b"), row(1, "b", "c")], [row(0, "c", "b"), row(1, "z")]) == (3, 2)


@pytest.fixture
def store(store: Path) -> Path:
    """With the first run in it."""
    lay_run(store, FIRST)
    return store


def opened(**query: str) -> AppTest:
    """Sequences of the first run."""
    return visit("pages/sequences.py", run=FIRST, **query)


def test_a_run_beside_its_copy_has_everything_in_common(store: Path) -> None:
    shutil.copytree(store / FIRST, store / SECOND)
    app = opened(**{"with": SECOND})
    found = re.search(
        r"(\d+) titles are recommended by both runs: 100\s% of A’s (\d+), 100\s% of B’s (\d+)", untagged(app)
    )
    assert found is not None
    assert len(set(found.groups())) == 1
    assert markup(app).count('<li class="both">') == 2 * 10 * 8, "every card of a page of both runs"
    heads = re.findall(r"(?<=[AB] ) *Sequence (\d+)", untagged(app))
    assert heads[::2] == heads[1::2] == [str(number) for number in range(1, 11)]


def test_the_other_run_is_chosen_in_a_list_and_taken_away_again(store: Path) -> None:
    lay_run(store, SECOND, sequences=4, length=5)
    app = opened()
    assert "recommended by both" not in untagged(app)
    app.selectbox(key="url-with").set_value(SECOND).run()
    assert app.query_params["with"] == SECOND
    assert "recommended by both" in untagged(app)
    assert re.search(r"<dt>Sequences</dt><dd><b>A</b>12</dd><dd><b>B</b>4</dd>", markup(app))
    app.selectbox(key="url-with").set_value(None).run()
    assert "with" not in app.query_params
    assert "recommended by both" not in untagged(app)


def test_both_runs_move_through_their_moments_together(store: Path) -> None:
    lay_run(store, SECOND, state="running", ready="snapshots", steps=200)
    steps = sorted(int(each.stem) for each in (store / SECOND / "snapshots").iterdir())
    last = max(int(each.stem) for each in (store / FIRST / "snapshots").iterdir())
    assert moments(opened(**{"with": SECOND})) == ["Result", f"Step {steps[-1]}"], "the other has no result yet"
    assert moments(opened(step="0", **{"with": SECOND})) == ["Step 0", "Step 0"]
    assert moments(opened(step=str(last), **{"with": SECOND})) == [f"Step {last}", f"Step {steps[-1]}"]


def moments(app: AppTest) -> list[str]:
    return re.findall(r'class="moment">([^:]+):', markup(app))


def test_the_hard_form_is_that_of_both(store: Path) -> None:
    lay_run(store, SECOND)
    app = opened(form="hard", **{"with": SECOND})
    assert "How sure" not in untagged(app)
    assert "read by both" in untagged(app)


def test_a_run_without_a_result_has_no_hard_form_to_stand_beside(store: Path) -> None:
    lay_run(store, SECOND, state="running", ready="snapshots")
    app = opened(form="hard", **{"with": SECOND})
    assert "It has no hard form yet" in untagged(app)
    assert "unknown item" not in untagged(app)


def test_before_the_result_the_form_stands_there_and_cannot_be_chosen(store: Path) -> None:
    app = opened(form="hard", step="0")
    (control,) = [each for each in app.get("button_group") if each.proto.label == "Form"]
    assert control.proto.disabled
    assert "How sure" in untagged(app), "what is shown is soft"


def test_a_search_keeps_a_pair_if_either_holds_the_title(store: Path) -> None:
    lay_run(store, SECOND, titles=[f"Only in the other {number}" for number in range(len(TITLES))], sequences=2)
    app = opened(q="only in the other", **{"with": SECOND})
    said = re.search(r"(\d+) cards in 2 sequences hold “only in the other”", untagged(app))
    assert said is not None
    assert int(said.group(1)) == 2 * 8
    assert len(re.findall(r"A\s+Sequence", untagged(app))) == 2
    assert "no title in common" in untagged(app)


@pytest.mark.parametrize("page_query", [{"sequence": "3"}, {"chosen": "1,2"}, {"sequence": "3", "chosen": "4"}])
def test_a_selection_and_an_open_row_work_with_two_runs(store: Path, page_query: dict[str, str]) -> None:
    shutil.copytree(store / FIRST, store / SECOND)
    app = opened(**{"with": SECOND}, **page_query)
    if "chosen" in page_query:
        assert "go through the" in untagged(app)
    if page_query == {"sequence": "3"}:
        assert markup(app).count('<ol class="ladder">') == 2, "both in full"
        assert markup(app).count('<li class="both">') == 2 * 10 * 8, "marked as the cards are"


def test_the_same_as_a_table_names_the_run_of_every_row(store: Path) -> None:
    lay_run(store, SECOND, sequences=12)
    table = opened(**{"with": SECOND}).dataframe[0].value
    assert table["Run"].value_counts().to_dict() == {"A": 12 * 8, "B": 12 * 8}
    assert "Run" not in opened().dataframe[0].value


def test_what_cannot_stand_beside_is_told(store: Path) -> None:
    lay_run(store, SECOND, state="queued", ready="nothing")
    assert "once its distillation has taken a step" in untagged(opened(**{"with": SECOND}))
    gone = untagged(opened(**{"with": "no-such-run<b>"}))
    assert "no-such-run<b>" in gone
    assert "is not in this store" in gone
    assert "recommended by both" not in untagged(opened(**{"with": FIRST})), "a run does not stand beside itself"


def test_hostile_titles_of_the_other_run_are_text(store: Path) -> None:
    lay_run(store, SECOND, titles=[*HOSTILE, *TITLES], sequences=8)
    app = opened(**{"with": SECOND})
    assert not re.search(r"<(script|img|a)\b", markup(app))
