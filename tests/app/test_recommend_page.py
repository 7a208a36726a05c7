"""The Recommend page: histories in the address, lists beside each other, and every state without students."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from kept_students import RUN, lay_students, retitle
from run_folders import HOSTILE, held, lay_run
from streamlit.testing.v1 import AppTest
from visits import check, check_escaped, links, markup, untagged, visit

from foster.recommend import Recommendation, model_file
from foster.ui import lists

PAGE = "pages/recommend.py"


def history(app: AppTest) -> list[str]:
    return re.findall(r'class="entry"><span class="place">\d+</span><bdi[^>]*>([^<]*)</bdi>', markup(app))


def listed(app: AppTest, row: str) -> list[str]:
    """The titles of one list, in order."""
    section = re.search(rf'<section class="list {row}">(.*?)</section>', markup(app), re.DOTALL)
    assert section is not None, row
    return re.findall(r'<bdi class="title"[^>]*>([^<]*)</bdi>', section.group(1))


def test_an_example_is_continued_by_every_student(store: Path) -> None:
    lay_students(store)
    app = visit(PAGE, run=RUN)
    titles = history(app)
    assert titles == [f"Book {i}" for i in range(len(titles))], "the first reader starts at item 0"
    following = f"Book {len(titles)}"
    assert listed(app, "full")[0] == following
    assert listed(app, "soft")[0] == following
    assert len(listed(app, "untrained")) == 10
    assert not set(titles) & set(listed(app, "full")), "nobody takes an item twice here"
    said = untagged(app)
    assert f"This reader really went on to {following} . Ranked 1st by everything; 1st by distilled, soft;" in " ".join(
        said.split()
    )
    assert "Of the 10 titles that the full-data model recommends" in said
    assert "The first title is the same with everything and with the distilled set." in said


def test_the_first_reader_is_typical_by_a_rule_that_is_told(store: Path) -> None:
    """Of 40 readers with 7 training events each, all but three are cut short: so many are the median."""
    lay_students(store)
    log = store.parent / "cycle" / "interactions.csv"
    table = pd.read_csv(log)
    place = table.groupby("user_id").cumcount()
    whole = table["user_id"].isin(["u5", "u6", "u7"])
    short = table["user_id"].isin([f"u{user}" for user in range(5)])
    table[whole | (short & (place < 4)) | (~short & (place < 6))].to_csv(log, index=False)
    app = visit(PAGE, run=RUN)
    assert history(app) == [f"Book {8 + step}" for step in range(4)], "u8 is the first with 4 events to learn from"
    said = untagged(app)
    assert "Reader 1 is chosen by length alone" in said
    assert "4 training events are the median of 40 readers" in said
    assert app.selectbox(key="choose-reader").options[0].startswith("Reader 1, a typical one")
    assert "chosen by length" not in untagged(visit(PAGE, run=RUN, reader="2"))
    assert "chosen by length" not in untagged(visit(PAGE, run=RUN, items="5,6"))


def test_what_compare_measured_on_is_no_history(store: Path) -> None:
    lay_students(store)
    app = visit(PAGE, run=RUN, split="valid")
    assert history(app)[0] == "Book 0"
    assert "left out" not in untagged(app)


def test_the_address_names_the_history(store: Path) -> None:
    lay_students(store)
    app = visit(PAGE, run=RUN, items="5,6,7")
    assert history(app) == ["Book 5", "Book 6", "Book 7"]
    assert listed(app, "full")[0] == "Book 8"
    assert "really went on" not in untagged(app)
    assert app.selectbox(key="choose-reader").value is None


def test_titles_are_added_removed_and_moved(store: Path) -> None:
    lay_students(store)
    app = visit(PAGE, run=RUN, items="5,6,7")
    check(app.button(key="up-2").click().run())
    assert app.query_params["items"] == "5,7,6"
    check(app.button(key="remove-0").click().run())
    assert history(app) == ["Book 7", "Book 6"]
    check(app.selectbox(key="add-title").set_value(20).run())
    assert app.query_params["items"] == "7,6,20"
    assert history(app)[-1] == "Book 20"
    assert app.selectbox(key="add-title").value is None, "ready for the next one"
    check(app.button(key="clear").click().run())
    assert "Nothing to go on" in untagged(app)
    assert app.query_params["items"] == "-"


def test_a_reader_is_chosen_and_editing_makes_the_history_ones_own(store: Path) -> None:
    lay_students(store)
    app = visit(PAGE, run=RUN)
    check(app.selectbox(key="choose-reader").set_value("3").run())
    assert app.query_params["reader"] == "3"
    assert "really went on" in untagged(app)
    first = history(app)
    check(app.button(key="remove-0").click().run())
    assert "reader" not in app.query_params
    assert history(app) == first[1:]
    check(app.selectbox(key="choose-reader").set_value("1").run())
    assert "items" not in app.query_params
    assert history(app)[0] == "Book 0"


@pytest.mark.parametrize(
    ("items", "kept"), [("5,999,x,-1,6", ["Book 5", "Book 6"]), ("<b>", []), (",".join(map(str, range(24))), None)]
)
def test_nonsense_in_the_address_is_left_out_and_said(store: Path, items: str, kept: list[str] | None) -> None:
    lay_students(store)
    app = visit(PAGE, run=RUN, items=items, reader="99")
    if kept is not None:
        assert history(app) == kept
        assert "left out" in untagged(app)
    else:
        assert "<section" in markup(app), "a history of the whole catalogue leaves empty lists"
        assert listed(app, "full") == []


def test_a_run_without_students_says_what_to_do(store: Path) -> None:
    run = lay_run(store).name
    app = visit(PAGE, run=run)
    assert "This run kept no students" in untagged(app)
    assert "Distil" in links(app)


@pytest.mark.parametrize(
    ("state", "said"), [("queued", "No students yet"), ("failed", "before it had trained any"), ("stopped", "Stopped")]
)
def test_an_unfinished_run_says_where_it_stands(store: Path, state: str, said: str) -> None:
    assert said in untagged(visit(PAGE, run=lay_run(store, state=state, ready="nothing").name))


def test_a_running_run_shows_the_students_it_has(store: Path) -> None:
    lay_students(store, names=("full", "untrained"), state="running")
    with held(store / RUN):
        app = visit(PAGE, run=RUN, items="5,6")
    assert listed(app, "full")[0] == "Book 7"
    assert "Still to come: distilled, soft" in untagged(app)


def test_a_damaged_student_is_named_and_the_others_answer(store: Path) -> None:
    lay_students(store)
    model_file(store / RUN, "hard").write_bytes(b"nonsense")
    app = visit(PAGE, run=RUN, items="5,6")
    assert "Distilled, hard cannot be read" in untagged(app)
    assert listed(app, "full")[0] == "Book 7"


def test_changed_or_missing_data_are_refused(store: Path) -> None:
    lay_students(store)
    data = store.parent / "cycle"
    table = pd.read_csv(data / "items.csv")
    table.iloc[::-1].to_csv(data / "items.csv", index=False)
    assert "the data set has changed since this run" in untagged(visit(PAGE, run=RUN))
    shutil.rmtree(data)
    assert "The students cannot be asked" in untagged(visit(PAGE, run=RUN))


def test_without_the_cached_embeddings_nothing_is_guessed(store: Path) -> None:
    lay_students(store)
    shutil.rmtree(store / ".cache")
    assert "no longer in the cache" in untagged(visit(PAGE, run=RUN))


def test_hostile_titles_are_text(store: Path) -> None:
    lay_students(store)
    retitle(store, HOSTILE)
    app = visit(PAGE, run=RUN, items="0,1,2,3,4,5,6,7")
    assert HOSTILE[0] in untagged(app)
    check_escaped(app)
    labels = [*(button.label for button in app.button), *(button.help or "" for button in app.button)]
    labels += [str(each.value) for kind in ("markdown", "caption") for each in app.get(kind)]
    assert not any("owned" in label or "**bold**" in label for label in labels)


def places(*items: int) -> list[Recommendation]:
    return [Recommendation(item, rank, 0.1) for rank, item in enumerate(items, start=1)]


def test_shifts_and_agreement_are_against_everything() -> None:
    shown = lists.beside({"full": places(1, 2, 3, 4), "soft": places(3, 1, 9, 4), "random": places(7, 8)})
    assert [lists.shift_text(shift) for shift in shown[1].agreement.shifts] == ["↑2", "↓1", "new", "="]
    assert lists.agreement_text(shown) == (
        "Of the 4 titles that the full-data model recommends, the student of the distilled set names 3; "
        "random sequences 0. The first title is not the same with everything and with the distilled set."
    )
    table = lists.as_table(shown, [f"t{i}" for i in range(10)])
    assert table[0]["Distilled, soft"] == "t3 (↑2)"
    assert table[0]["Everything"] == "t1"
    assert lists.agreement_text(lists.beside({"soft": places(1)})) == "", "nothing to hold it against"
    deep = lists.truth_text({"full": places(1, 2), "soft": places(2)}, 1, ["a", "<b>"])
    assert "&lt;b&gt;" in deep
    assert "Ranked 1st by everything; below the 1st place by distilled, soft." in deep
    assert "No list has it among its first 2" in lists.truth_text({"full": places(1, 2)}, 0, ["a", "b", "c"])
