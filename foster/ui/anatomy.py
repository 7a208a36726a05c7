"""What a log holds: the content of the Data page for one data set."""

from __future__ import annotations

import streamlit as st

from foster.ui import address, datasets, log_charts, log_facts, words
from foster.ui.charts import Chart
from foster.ui.datasets import Log
from foster.ui.log_facts import Example
from foster.ui.markup import Markup, plain, show, tag
from foster.ui.sources import Origin, Source
from foster.ui.state import simulated
from foster.ui.states import note
from foster.ui.titles import stats

SHOWN_ITEMS = 2_000  # rows of the table; a search looks through all of them
_ROLES = ("test", "validation")  # of the last and the second last event


def anatomy(source: Source, log: Log) -> None:
    facts = log.facts
    warn_of_few(facts.users, facts.train_events)
    spread = f"median; {words.count(facts.shortest)} to {words.count(facts.longest)}"
    show(
        stats(
            [
                ("Users", words.count(facts.users), "with at least 3 events"),
                ("Items", words.count(facts.items), f"{words.count(facts.items - facts.never)} were taken"),
                ("Events", words.count(facts.events), "somebody took something"),
                ("Events a user", words.count(facts.median), spread),
                ("Stored", words.size(facts.log_bytes), "the training log's item ids, compressed"),
            ]
        )
    )
    if said := simulated(source.path):
        st.caption(said)
    st.space("small")
    left, right = st.columns(2, gap="large")
    with left:
        show(tag("h2", "How long a history is"))
        show(tag("p", log_facts.say_lengths(facts), class_="say"))
        _draw(log_charts.lengths(facts), "lengths")
    with right:
        show(tag("h2", "How unequal items are"))
        show(tag("p", log_facts.say_popularity(facts), class_="say"))
        _draw(log_charts.popularity(facts), "popularity")
    st.space("small")
    _examples(log)
    st.space("small")
    left, right = st.columns(2, gap="large")
    with left:
        _split(log)
    with right:
        _dropped(source, log)
    st.space("small")
    _titles(log)


def warn_of_few(users: int, train_events: int) -> None:
    """Says that a log is too small for results to mean much, if it is."""
    if said := log_facts.say_few(users, train_events):
        note("A very small log", said)


def _draw(chart: Chart, key: str) -> None:
    st.plotly_chart(chart.figure, key=key, alt=chart.alt, config={"displayModeBar": False})


def _examples(log: Log) -> None:
    asked = address.asked("five")
    page = int(asked) if asked is not None and asked.isdecimal() and len(asked) < 7 else 0
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        show(tag("h2", "Five histories"), width="content")
        st.button(
            "Five others", icon=":material/shuffle:", type="tertiary", on_click=address.put, kwargs={"five": page + 1}
        )
    for example in log_facts.examples(log.dataset, page):
        user = tag("strong", "User ", tag("bdi", plain(example.user, 40)))
        said = tag("span", words.plural(example.length, "event"), class_="hint")
        show(tag("p", user, said, class_="row-head"))
        show(_strip(example))


def _strip(example: Example) -> Markup:
    """Titles in their order; the last two say what they are held out for."""
    cards = []
    if example.earlier:
        cards.append(tag("li", tag("span", f"{words.count(example.earlier)} earlier", class_="place"), class_="before"))
    for place, title in enumerate(example.titles, start=1):
        left = len(example.titles) - place
        role = _ROLES[left] if left < len(_ROLES) else None
        number = tag("span", str(example.earlier + place), class_="place")
        held = tag("span", f"for the {role}" if role == "test" else f"for {role}", class_="held") if role else None
        text = tag("bdi", plain(title, 90), class_="title", title=plain(title, 400))
        cards.append(tag("li", number, held, text, class_=f"event {role or 'train'}"))
    name = f"The history of user {plain(example.user, 40)}, scrolls sideways"
    return tag("div", tag("ol", *cards, class_="strip history"), class_="strip-frame latest", tabindex=0, role="group",
               aria_label=name)  # fmt: skip


def _split(log: Log) -> None:
    facts = log.facts
    show(tag("h2", "How it is judged"))
    for text in (
        f"Leave one out: each user's last event is for the test, the one before for validation, and the other "
        f"{words.count(facts.train_events)} events are the training log, which is what is condensed. Choices are made "
        "on the validation items, of plain sequences also on events of the training log, which their students do not "
        "see; the test items are looked at once, at the end.",
        f"A model reads a history and ranks all {words.count(facts.items)} items; Recall@10 is how often the held-out "
        "one is among its first ten.",
        log_facts.say_repeats(facts),
    ):
        show(tag("p", text, class_="say"))


def _dropped(source: Source, log: Log) -> None:
    show(tag("h2", "What was left out"))
    dropped = log.dataset.dropped
    if not dropped:
        show(tag("p", "Nothing: every row of the files is used.", class_="say"))
        return
    show(tag("p", dropped_sentence(source), class_="say"))
    show(dropped_list(dropped))


def dropped_sentence(source: Source) -> str:
    where = "The files stay as they are" if source.origin is Origin.FOLDER else "The stored files keep every row"
    return f"{where}; on reading, this was left out or mended:"


def dropped_list(dropped: dict[str, int]) -> Markup:
    """Reason, count and why, the most frequent first."""
    rows = [
        tag(
            "div",
            tag("dt", f"{row.reason[0].upper()}{row.reason[1:]}: ", tag("b", words.count(row.count))),
            tag("dd", row.why, class_="hint"),
        )
        for row in log_facts.dropped_rows(dropped)
    ]
    return tag("dl", *rows, class_="dropped")


def _titles(log: Log) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        show(tag("h2", "Every title"), width="content")
        st.space("stretch")
        query = address.search("q", "Search the titles", placeholder="A part of a title", width=260,
                               label_visibility="collapsed")  # fmt: skip
    table = datasets.items_table(log)
    if query:
        table = table[table["Title"].str.casefold().str.contains(query.casefold(), regex=False)]
    found = words.plural(len(table), "item")
    said = f"{found} with “{query}” in the title" if query else f"{found}, the most popular first"
    more = f"; the first {words.count(SHOWN_ITEMS)} are listed" if len(table) > SHOWN_ITEMS else ""
    show(tag("p", f"{said}{more}.", role="status", class_="say"))
    st.dataframe(
        table.head(SHOWN_ITEMS),
        hide_index=True,
        height=360 if len(table) > 9 else "auto",
        alt="The items with their titles, categories and numbers of events",
        column_config={
            "Title": st.column_config.TextColumn(width="large"),
            "Events": st.column_config.NumberColumn(format="localized", help="How many events of the log are its"),
        },
    )
