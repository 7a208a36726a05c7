"""The static report: it loads nothing, runs nothing, and every text of the data is text."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from run_folders import HOSTILE, TITLES, lay_run

from foster.exporters import drawing, report
from foster.exporters.finished import FinishedRun, read_finished
from foster.exporters.tables import recommendations
from foster.markup import plain
from foster.run_label import RunLabel, write_label
from foster.runs import RunStore

RUN = "20260921-1000-foster-sample-0001"
ELEMENTS = re.compile(
    "html|head|meta|title|style|body|main|header|section|footer|div|p|h[123]|d[ltd]|[ou]l|li|span|strong|bdi|table|caption"
    "|t[rhd]|figure|figcaption|svg|g|path|rect|circle|text"
)


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _page(root: Path, **options: object) -> tuple[str, FinishedRun]:
    lay_run(root, **options)  # type: ignore[arg-type]
    run = read_finished(RunStore(root, bundled=None).get(RUN))
    return report.page(run), run


def test_it_shows_the_numbers_the_titles_the_method_and_the_limits(tmp_path: Path) -> None:
    text, run = _page(tmp_path)
    page = _Page(text)
    assert not page.open, "every element is closed"
    said = "\n".join(page.texts)
    for shown in (
        "12 sequences of 8 from sample books",
        "87\u00a0% of what the whole log teaches",
        "0.131 ± 0.004, n = 3",
        "Last-item bigram, all events",
        "Sequence 12",
        "weighed by γ",
        "Regularisation γ",
        "The readers of the sample are simulated",
        "test items were not asked for",
        "Of 12 hard sequences, 0 have half or more",
    ):
        assert shown in said, shown
    cards = [place["labels"][0]["title"] for place in run.sequences.to_dict("records") if place["labels"] is not None]
    assert cards
    assert all(title in said for title in cards)
    assert sum(tag == "svg" and attrs.get("role") == "img" for tag, attrs in page.elements) == 4
    assert all(attrs["aria-label"] for tag, attrs in page.elements if attrs.get("role") == "img")


def test_nothing_is_loaded_and_nothing_runs(tmp_path: Path) -> None:
    text, _ = _page(tmp_path, titles=HOSTILE, categories=HOSTILE, sequences=3, length=4)
    page = _Page(text)
    policy = next(attrs["content"] for tag, attrs in page.elements if "http-equiv" in attrs)
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert all(ELEMENTS.fullmatch(tag) for tag, _ in page.elements)
    for _, attrs in page.elements:
        assert not {name for name in attrs if name.startswith("on") or name in ("style", "src", "href", "xlink:href")}
    assert "url(" not in style
    assert "@import" not in style
    assert "http://" not in text.replace("http-equiv", "")


def test_hostile_titles_are_text(tmp_path: Path) -> None:
    lay_run(tmp_path, titles=HOSTILE, categories=HOSTILE, sequences=3, length=4)
    run = RunStore(tmp_path, bundled=None).get(RUN)
    write_label(run, RunLabel("</title><script>document.title='owned'</script>"))
    text = report.page(read_finished(run))
    page = _Page(text)
    said = "\n".join(page.texts)
    for title in HOSTILE:
        assert plain(title, 80) in said
    assert "<script" not in text
    assert "<img" not in text
    assert "\u202e" not in text
    assert max(len(each) for each in page.texts if not each.startswith(":root")) < 1_000, (
        "a title of 10,000 characters is cut"
    )


def test_what_was_read_is_not_recommended_where_nobody_takes_an_item_twice(tmp_path: Path) -> None:
    place = {
        "title": "Dune",
        "confidence": 1.0,
        "labels": [{"title": "Dune", "weight": 0.5}, {"title": "Emma", "weight": 0.3}],
    }
    (told,) = report._cards([place], masked=True)
    (kept,) = report._cards([place], masked=False)
    assert ">Emma</bdi>" in told
    assert "30\u00a0%" in told
    assert kept.count(">Dune</bdi>") == 2
    (last,) = report._cards([{"title": "Dune", "confidence": 0.75, "labels": None, "label_title": None}], masked=True)
    assert last.count("<bdi") == 1
    assert "75\u00a0%" in last


def test_bars_are_as_long_as_their_numbers_and_show_the_spread() -> None:
    rows = {
        "full": {"recall@10": {"mean": 0.4, "std": 0.0, "n": 1}},
        "soft": {"recall@10": {"mean": 0.2, "std": 0.1, "n": 3}},
        "mine<b>": {"recall@10": {"mean": 0.1, "std": 0.0, "n": 3}},
        "broken": {},
    }
    chart = drawing.bars(rows, "test")
    assert chart is not None
    widths = [float(width) for width in re.findall(r'width="([0-9.]+)" height="11" rx="3" class="bar', chart)]
    assert [width / widths[0] for width in widths] == pytest.approx([1.0, 0.5, 0.25], abs=1e-3)
    (spread,) = re.findall(r'd="M([0-9.]+) [0-9.]+H([0-9.]+)M', chart)
    assert [float(end) / widths[0] for end in spread] == pytest.approx([0.25, 0.75], abs=1e-3)
    assert "0.200 ± 0.100, n = 3" in chart
    assert "mine&lt;b&gt;" in chart
    assert drawing.bars({}, "test") is None


def test_curves_go_through_their_points() -> None:
    distil = [{"step": step, "gap": 1.0 - step / 100, "real": None} for step in range(0, 101, 50)]
    chart = drawing.curves(distil, [])
    assert chart is not None
    (path,) = re.findall(r'd="(M[^"]+)" class="curve d"', chart)
    points = [tuple(map(float, pair.split())) for pair in path[1:].split("L")]
    xs, ys = zip(*points, strict=True)
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert ys[0] < ys[1] < ys[2], "falling values go down the page"
    assert "gap from 1 to 0" in chart
    assert drawing.curves([], []) is None
    assert drawing.curves([{"step": 1, "gap": float("nan")}], []) is None
    many = [{"step": step, "gap": 0.5} for step in range(20_000)]
    thin = drawing.curves(many, [])
    assert thin is not None
    assert len(thin) < 20_000


def test_the_map_draws_each_item_once_a_view_and_names_the_weightiest(tmp_path: Path) -> None:
    text, run = _page(tmp_path)
    assert run.points is not None
    assert run.items is not None
    for chart in re.findall(r'<svg viewBox="0 0 420 420".*?</svg>', text):
        assert sum(path.count("M") for path in re.findall(r'd="([^"]+)" class="points', chart)) == len(TITLES)
        labels = re.findall(r'class="label[^"]*">([^<]+)<', chart)
        assert 3 <= len(labels) <= drawing.LABELS
    heaviest = run.points.merge(run.items, on="item").sort_values("mass", ascending=False)["title"].iloc[0]
    assert plain(heaviest, 24) in labels


def test_every_group_has_a_shape_of_its_own() -> None:
    assert len({drawing.shape(number, 0, 0) for number in range(drawing.GROUPS + 1)}) == drawing.GROUPS + 1


def test_long_runs_are_cut_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MOST_CARDS", 20)
    text, _ = _page(tmp_path)
    assert "Sequence 2" in text
    assert "Sequence 3" not in text
    assert "The first 2 of 12 sequences are shown, the tables hold all." in text


def test_labels_of_curves_are_moved_apart() -> None:
    assert drawing._apart([10.0, 12.0, 50.0, 11.0], 14) == [10.0, 38.0, 52.0, 24.0]


def test_a_session_opens_with_nothing_read(tmp_path: Path) -> None:
    """Planted: what is taught was read at the first position; in the second session it was not."""
    _, run = _page(tmp_path)
    places = run.sequences[run.sequences["sequence"] == 0].copy()
    taught = [{"item_id": "a", "title": "Apart", "weight": 0.5}, {"item_id": "b", "title": "Beside", "weight": 0.2}]
    places["labels"] = [taught] * len(places)
    places["title"] = ["Apart", *[f"Other {n}" for n in range(1, len(places))]]
    masked = dataclasses.replace(run, sequences=places, data={**run.data, "history_masked": True})
    cut = dataclasses.replace(masked, sequences=places.assign(session=places["position"] // 4))
    (whole, cards), (said, sessions) = (
        (text, re.findall(r'class="taught">([^<]*)<', text)) for text in map(report.page, (masked, cut))
    )
    assert cards == ["Beside"] * 8
    assert sessions == ["Beside"] * 4 + ["Apart"] * 4
    assert (whole.count("New session"), said.count("New session")) == (0, 1)
    assert "read before it in its session" in said
    rows = recommendations(cut)
    assert rows is not None
    assert rows.groupby("position")["session"].first().tolist() == [0] * 4 + [1] * 4
    without = recommendations(masked)
    assert without is not None
    assert "session" not in without
