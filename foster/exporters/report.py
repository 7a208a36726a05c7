"""The run as one HTML file that needs no server, no network and no script, on screen and on paper.

Every text of the data is escaped by `foster.markup`; the page's own policy lets nothing load and nothing run but the
one style sheet, which it names by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from foster import words
from foster.exporters import drawing, telling
from foster.exporters.finished import FinishedRun
from foster.map_facts import agreement
from foster.markup import Markup, join, plain, tag
from foster.verdict import NAMES, of_full, sentence, split_of, stored

MOST_CARDS = 4_000  # positions shown; more are in the tables only
VIEWS = {"real": ("Real", "near each other: the same users took them"),
         "synthetic": ("Synthetic", "near each other: the synthetic sequences put them together")}  # fmt: skip


def report(run: FinishedRun) -> dict[str, bytes]:
    return {"report.html": page(run).encode("utf-8", "replace")}


def page(run: FinishedRun) -> str:
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{plain(run.title)} · foster"),
        Markup(f"<style>{style}</style>"),
    )
    body = tag("main", *_parts(run))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


@cache
def _style() -> str:
    return (Path(__file__).parent / "report.css").read_text(encoding="utf-8")


def _parts(run: FinishedRun) -> Iterator[Markup | None]:
    yield tag(
        "header",
        tag("p", "foster · report of a run", class_="mark"),
        tag("h1", plain(run.title)),
        tag("p", sentence(run.report), class_="lead"),
        _headline(run),
    )
    yield _worth(run)
    if curves := drawing.curves(run.distil, run.valid):
        lead = "The terms of the loss, over the steps of the distillation; θ follows the real data, ω the synthetic."
        yield _section("How it condensed", tag("p", lead, class_="hint"), curves)
    yield _sequences(run)
    yield _map(run)
    yield _section("How it was done", tag("ol", *[tag("li", each) for each in telling.method(run)], class_="method"))
    pairs = [part for name, value in telling.settings(run) for part in (tag("dt", name), tag("dd", plain(value, 400)))]
    yield _section("Settings", tag("dl", *pairs, class_="settings"))
    yield _section("What these numbers do not say",
                   tag("ul", *[tag("li", each) for each in telling.limits(run)], class_="limits"))  # fmt: skip
    yield tag("footer", "Made by foster, MIT licence. Titles and ids belong to the owner of the data.")


def _section(title: str, *children: Markup | None) -> Markup:
    return tag("section", tag("h2", title), *children)


def _headline(run: FinishedRun) -> Markup:
    _, rows = split_of(run.report)
    figures = []
    for name, label in (("soft", "Soft form"), ("hard", "Hard form"), ("full", "Everything")):
        if summary := (rows.get(name) or {}).get("recall@10"):
            share = of_full(rows, name)
            beside = f", {words.share(share)} of everything" if share is not None and name != "full" else ""
            spread = f" ± {words.score(summary['std'])}" if summary.get("n", 1) > 1 and summary.get("std") else ""
            hint = f"Recall@10{spread}, n = {summary.get('n', 1)}{beside}"
            figures.append((label, words.score(summary["mean"]), hint))
    size = run.report.get("stored_bytes") or {}
    if size.get("soft"):
        beside = f"soft; the log itself takes {words.size(size['log'])}" if size.get("log") else "soft"
        figures.append(("Stored in", words.size(size["soft"]), beside))
    if run.nearness is not None and len(run.nearness):
        top = float(run.nearness["overlap"].max())
        figures.append(("Nearest real user", words.share(top), "largest overlap of a hard sequence's items"))
    cells = [
        tag("div", tag("dt", name), tag("dd", value), tag("dd", hint, class_="hint")) for name, value, hint in figures
    ]
    return tag("dl", *cells, class_="stats")


def _worth(run: FinishedRun) -> Markup | None:
    split, rows = split_of(run.report)
    chart = drawing.bars(rows, split)
    if chart is None:
        return None
    said = (
        f"Recall@10 on {split} items: how often the next item is among the ten recommended, out of the whole "
        "catalogue. Mean ± standard deviation over n students trained from scratch, drawn as a line over the bar's end."
    )
    head = tag(
        "tr", *[tag("th", name, scope="col") for name in ("Trained on", "Recall@10", "NDCG@10", "Of everything")]
    )
    lines = [head]
    for name, row in rows.items():
        if "recall@10" not in row:
            continue
        share = of_full(rows, name)
        ndcg = words.measure(row["ndcg@10"]) if row.get("ndcg@10") else "–"
        cells = (words.measure(row["recall@10"]), ndcg, words.share(share) if share is not None else "–")
        lines.append(
            tag("tr", tag("th", plain(NAMES.get(name, name), 80), scope="row"), *[tag("td", cell) for cell in cells])
        )
    table = tag("table", tag("caption", f"The same as a table, {split} items"), *lines)
    return _section(
        "What it is worth",
        tag("p", said, class_="hint"),
        chart,
        tag("div", table, class_="wide", tabindex=0, role="region", aria_label="Results as a table"),
        tag("p", stored(run.report), class_="hint"),
    )


def _sequences(run: FinishedRun) -> Markup:
    facts = {} if run.nearness is None else run.nearness.set_index("sequence").to_dict("index")
    told, cards = bool(run.data.get("history_masked")), 0
    shown: list[Markup] = []
    numbers = run.sequences["sequence"].nunique()
    for number, places in run.sequences.groupby("sequence", sort=True):
        cards += len(places)
        if cards > MOST_CARDS and shown:
            break
        hint = tag("p", _facts(facts.get(number, {})), class_="hint")
        items = tag("ol", *_cards(places.to_dict("records"), told))
        shown.append(tag("div", tag("h3", f"Sequence {int(str(number)) + 1}"), hint, items, class_="sequence"))
    said = (
        "At every position a student reads the small title and is taught to recommend the large one first; the bar is "
        "the weight of that recommendation. This is a sequence's first reading; in others it reads other items."
    )
    sessions = "session" in run.sequences and bool(run.sequences["session"].any())
    if sessions:
        said += " A row is longer than a usual history of the log, so students read it in sessions, each anew."
    if told:
        within = "session" if sessions else "row"
        said += (
            f" Nobody takes an item twice in this log, so a card leaves out what was read before it in its {within}."
        )
    if len(shown) < numbers:
        said += (
            f" The first {words.count(len(shown))} of {words.count(numbers)} sequences are shown, the tables hold all."
        )
    return _section("What the sequences say", tag("p", said, class_="hint"), *shown)


def _cards(places: Iterable[Mapping[Any, Any]], masked: bool) -> Iterator[Markup]:
    known: set[str] = set()
    session = 0
    for place in places:
        opens = place.get("session", 0) != session
        if opens:
            known, session = set(), place["session"]
        read, sure = _text(place.get("title")), place.get("confidence")
        known.add(read)
        taught, weight = _taught(place, known if masked else set())
        if taught is None:
            taught, weight, read = read, sure, ""
        yield tag(
            "li",
            tag("span", "New session", class_="read") if opens else None,
            tag("bdi", plain(read, 80), class_="read") if read else None,
            tag("bdi", plain(taught, 120), class_="taught"),
            _sure(float(weight)) if weight is not None and weight == weight else None,
        )


def _taught(place: Mapping[Any, Any], known: set[str]) -> tuple[str | None, float | None]:
    """The likeliest recommendation that was not read yet, None where a position teaches nothing."""
    labels = place.get("labels")
    if labels is not None and not isinstance(labels, float) and len(labels):
        best = next((label for label in labels if label["title"] not in known), labels[0])
        return _text(best["title"]), float(best["weight"])
    label = place.get("label_title")
    return (label, place.get("label_confidence")) if isinstance(label, str) else (None, None)


def _text(title: object) -> str:
    return title if isinstance(title, str) else "(unknown item)"


def _sure(share: float) -> Markup:
    inside = (
        tag("rect", width=100, height=4, class_="track"),
        tag("rect", width=f"{100 * min(1.0, max(0.0, share)):.1f}", height=4, class_="bar soft"),
    )
    bar = tag("svg", *inside, viewBox="0 0 100 4", preserveAspectRatio="none", aria_hidden="true")
    return tag("div", bar, tag("span", words.share(share)), class_="sure")


def _facts(facts: Mapping[Any, Any]) -> str:
    said = []
    if "overlap" in facts:
        said.append(f"Its hard form shares {words.share(facts['overlap'])} of items with the nearest real user")
    if "repetition" in facts:
        said.append(f"{words.share(facts['repetition'])} repeated")
    if "diversity" in facts:
        said.append(f"diversity {facts['diversity']:.2f}")
    return " · ".join(said)


def _map(run: FinishedRun) -> Markup | None:
    if run.points is None or run.items is None:
        return None
    points = run.points.merge(run.items, on="item", how="inner").sort_values("mass", ascending=False, kind="stable")
    views = [view for view in VIEWS if {f"x_{view}", f"y_{view}"} <= set(points.columns)]
    if not len(points) or not views:
        return None
    figures = [
        tag(
            "figure",
            tag("figcaption", tag("strong", VIEWS[view][0]), tag("span", f": {VIEWS[view][1]}", class_="hint")),
            drawing.item_map(points, view, VIEWS[view][0]),
        )
        for view in views
    ]
    names = [*drawing.groups(points), "other"]
    legend = [tag("li", drawing.key(number), tag("bdi", plain(name, 40))) for number, name in enumerate(names)]
    said = "Each point is an item, at its place in two maps; titles are those with the most synthetic mass."
    if len(points) > drawing.MOST_POINTS:
        drawn, there = words.count(drawing.MOST_POINTS), words.count(len(points))
        said += f" The {drawn} items with the most mass of {there} are drawn."
    return _section(
        "Where the items stand",
        tag("p", f"{said} {agreement(points)}".strip(), class_="hint"),
        tag("div", *figures, class_="maps"),
        tag("ul", *legend, class_="legend"),
    )
