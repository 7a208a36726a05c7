"""What the Data page says of a log, and what the form foretells: planted logs, known answers."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cycle_world import N_ITEMS, random_features
from planted_sets import planted_set

from foster import experts
from foster.artefact import save
from foster.catalog import Catalog
from foster.formats import Dataset
from foster.interactions import Interactions
from foster.runs import RunStore
from foster.spec import RunSpec
from foster.stored_form import BYTES_PER_POSITION, affordable_form, log_bytes
from foster.training import Recipe
from foster.ui import log_charts, log_facts
from foster.ui.forecast import FEW_POSITIONS, TEACHERS, Earlier, Span, at_most, forecast
from foster.ui.log_facts import examples, facts, length_bins
from foster.ui.sources import Origin, encoders, sources


def log_of(*sequences: list[int], items: int = 5) -> Dataset:
    users = np.repeat(np.arange(len(sequences)), [len(each) for each in sequences])
    flat = np.concatenate([np.array(each) for each in sequences])
    events = Interactions.from_events([f"u{user}" for user in users], flat, np.arange(len(flat), dtype=float))
    titles = tuple(f"title {item}" for item in range(items))
    return Dataset("planted", Catalog(tuple(map(str, range(items))), titles), events, {"exact duplicate rows": 2})


def test_a_planted_log_is_counted_right() -> None:
    found = facts(log_of([0, 1, 2], [0, 1, 0, 3], [0, 2, 1, 0]))
    assert (found.users, found.items, found.events, found.train_events) == (3, 5, 11, 5)
    assert (found.shortest, found.median, found.longest, found.never) == (3, 4, 4, 1)
    assert found.length_bins == ((3, 3, 1), (4, 4, 2))
    assert found.curve == ((1, 5), (2, 3), (3, 2), (4, 1))
    assert found.top_share == pytest.approx(5 / 11), "a tenth of five items is one"
    assert found.repeat_share == pytest.approx(1 / 3), "the third user's test item was taken before"
    assert found.history_masked


def test_repeats_are_explained() -> None:
    never, target = facts(log_of([0, 1, 2])), facts(log_of([0, 1, 0]))
    train = facts(log_of([0, 0, 1, 0]))
    assert "nobody takes an item twice" in log_facts.say_repeats(never)
    assert "100\u00a0% of the test items" in log_facts.say_repeats(target)
    assert "left out of the ranking all the same" in log_facts.say_repeats(target)
    assert "Taking an item again is a right answer here" in log_facts.say_repeats(train)


def test_the_log_is_as_large_as_the_engine_says() -> None:
    split = log_of([0, 1, 2, 3], [4, 3, 2]).interactions.leave_one_out()
    for items in (5, 70_000):
        assert log_facts.log_bytes(split.train, items) == log_bytes(split.train, items)


@pytest.mark.parametrize("lengths", [[3], [3, 4, 100], list(range(3, 500)), [7] * 50, [3] * 1000 + [1_000_000]])
def test_bins_are_of_one_width_and_lose_nobody(lengths: list[int]) -> None:
    bins = length_bins(np.array(lengths))
    assert sum(users for _, _, users in bins) == len(lengths)
    assert len(bins) <= 21
    assert len({high - low for low, high, _ in bins[:-1]}) <= 1
    assert bins[0][0] <= min(lengths)
    assert bins[-1][1] >= max(lengths)
    assert all(high + 1 == low for (_, high, _), (low, _, _) in pairwise(bins))


def test_examples_are_the_same_every_time_and_others_on_the_next_page() -> None:
    log = log_of(*[[user % 5, 1, 2] for user in range(12)])
    pages = [examples(log, page) for page in range(3)]
    assert pages[0] == examples(log, 0) == examples(log, 3), "they turn round"
    assert len({example.user for page in pages for example in page}) == 12
    assert [len(page) for page in pages] == [5, 5, 2]


def test_a_long_history_is_cut_at_its_beginning() -> None:
    (example,) = examples(log_of([0] * 40 + [1, 2, 3]), 0)
    assert example.titles[-3:] == ("title 1", "title 2", "title 3")
    assert (len(example.titles), example.earlier, example.length) == (log_facts.SHOWN_EVENTS, 43 - 24, 43)


def test_figures_say_in_words_what_they_show() -> None:
    found = facts(log_of([0, 1, 2], [0, 1, 0, 3], [0, 2, 1, 0], [0] * 90))
    assert "longest history has 90" in log_charts.lengths(found).alt
    assert list(log_charts.lengths(found).figure.data[0].x)[-1].endswith(("90", "more", "–94", "–99"))
    assert "tenth, 1 item, takes" in log_charts.popularity(found).alt


# --- the forecast

DATA = facts(log_of([0, 1, 2, 3], [4, 3, 2]))
SECONDS = {"data": 1.0, "embed": 0.1, "experts": 100.0, "distil": 50.0, "students": 200.0, "map": 10.0}


def earlier(factor: float = 1.0, spec: RunSpec | None = None, device: str = "cpu") -> Earlier:
    return Earlier(spec or RunSpec(), round(DATA.events / factor), round(DATA.items / factor), SECONDS, device, 240)


def centre(span: Span | None) -> float:
    assert span is not None
    return (span.low * span.high) ** 0.5


def test_the_same_run_again_takes_as_long() -> None:
    span = forecast(RunSpec(), DATA, [earlier()])
    assert span is not None
    assert span.same_data
    assert centre(span) == pytest.approx(sum(SECONDS.values()))
    assert span.high / span.low == pytest.approx(1.3**2)
    assert "on the same data" in str(span)


def test_more_of_anything_takes_longer_and_is_less_sure() -> None:
    base = forecast(RunSpec(), DATA, [earlier()])
    for spec in (RunSpec(sequences=100), RunSpec(students=9), RunSpec(steps=2400)):
        assert centre(forecast(spec, DATA, [earlier()])) > centre(base)
    larger = forecast(RunSpec(data="/elsewhere"), DATA, [earlier(0.2)])
    assert larger is not None
    assert not larger.same_data
    assert larger.high / larger.low >= 4


def test_a_small_set_has_one_teacher_and_others_as_many_as_the_earlier_run() -> None:
    four, tiny = replace(earlier(), experts=4), RunSpec(sequences=3, length=10)
    rest = replace(four, seconds={**SECONDS, "experts": 0.0})
    for spec, share in ((RunSpec(), 1.0), (tiny, 1 / 2.5)):
        with_experts, without = centre(forecast(spec, DATA, [four])), centre(forecast(spec, DATA, [rest]))
        assert with_experts - without == pytest.approx(share * SECONDS["experts"])
    after_tiny = replace(earlier(spec=tiny), seconds={"experts": 100.0})
    assert centre(forecast(RunSpec(), DATA, [after_tiny])) == pytest.approx(250.0)
    report = {"data": {"interactions": 9, "items": 3}, "seconds": {"experts": 1.0}, "experts": 4}
    told = Earlier.of(RunSpec(), report, None)
    assert told is not None
    assert told.experts == 4


def test_the_foretold_number_of_teachers_is_the_engine_s() -> None:
    read = experts.READ_TOGETHER // experts.MOST_TEACHERS
    assert (FEW_POSITIONS, TEACHERS) == (experts.FEW_POSITIONS, experts.MOST_TEACHERS)
    assert [experts.default_experts(n, read) for n in (FEW_POSITIONS - 1, FEW_POSITIONS)] == [1, TEACHERS]


def test_only_runs_that_tuned_as_much_of_the_encoder_tell() -> None:
    tuned = RunSpec(tuned_layers=1)
    assert forecast(tuned, DATA, [earlier()]) is None
    assert centre(forecast(tuned, DATA, [earlier(), earlier(spec=tuned)])) == pytest.approx(sum(SECONDS.values()))


def test_the_nearest_run_tells_and_a_cached_expert_does_not() -> None:
    far, cached = earlier(spec=RunSpec(sequences=100, length=100)), {**SECONDS, "experts": 0.2}
    near = forecast(RunSpec(), DATA, [far, earlier()])
    assert near is not None
    assert near.earlier.spec == RunSpec()
    quick = Earlier(RunSpec(data="/b"), DATA.events, DATA.items, cached, "cpu", 240)
    told = forecast(RunSpec(data="/a"), DATA, [quick, far])
    assert told is not None
    assert told.earlier is far


def test_nothing_is_foretold_for_a_device_no_run_was_on() -> None:
    assert forecast(RunSpec(device="cuda"), DATA, [earlier()]) is None
    assert forecast(RunSpec(device="cuda"), DATA, [earlier(device="cuda:0")]) is not None
    assert forecast(RunSpec(), DATA, []) is None
    assert Earlier.of(RunSpec(), {"seconds": {"data": 1}}, None) is None


def test_the_foretold_size_is_that_of_the_log_unless_either_is_small() -> None:
    assert at_most(RunSpec(sequences=5, length=10), 90_000) == 12_800
    assert at_most(RunSpec(sequences=20, length=20), 90_000) == 90_000
    assert 1_000 < at_most(RunSpec(sequences=20, length=20), 1_000) < 102_400


@pytest.mark.parametrize("log", [3_000, 90_000])
@pytest.mark.parametrize(("sequences", "length"), [(1, 2), (1, 5), (3, 10), (5, 10), (20, 20)])
def test_no_set_takes_more_than_was_foretold(tmp_path: Path, sequences: int, length: int, log: int) -> None:
    allowed = min(log, BYTES_PER_POSITION * sequences * length)
    form = affordable_form(sequences, length, N_ITEMS, (384, 128), allowed)
    file = tmp_path / "set.safetensors"
    made = planted_set(form.rank, form.readings, sequences, length, 384, N_ITEMS, form.bits, form.width, form.hidden)
    made = replace(made, queries=0.1 * made.queries)  # about what of real labels is not foretold
    save(made, file, Recipe(), random_features(N_ITEMS, 384), allowed)
    assert file.stat().st_size <= at_most(RunSpec(sequences=sequences, length=length), log)


# --- sources


def test_sources_have_keys_and_names_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = ["/srv/a/films", "/srv/b/films", "/srv/Sample", "/srv/<b>&"]
    monkeypatch.setenv("FOSTER_DATA", os.pathsep.join([*folders, folders[0]]))
    for slug in ("films-a", "shop", "data"):
        (tmp_path / ".data" / slug).mkdir(parents=True)
    found = sources(RunStore(tmp_path, bundled=None))
    assert [source.key for source in found] == [
        "sample", "films-a", "films-b", "sample-2", "b", "data", "films-a-2", "shop",
    ]  # fmt: skip
    assert [source.name for source in found][1:3] == ["films (a)", "films (b)"]
    assert [source.path for source in found][1:5] == folders
    own = [source for source in found if source.origin is Origin.OWN]
    assert [source.slug for source in own] == ["data", "films-a", "shop"]
    assert not any("/srv" in source.key + source.name for source in found)


def test_encoders_are_the_servers_list_and_hide_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOSTER_ENCODERS", raising=False)
    assert list(encoders()) == ["minilm"]
    monkeypatch.setenv("FOSTER_ENCODERS", os.pathsep.join(["org/model", "/srv/secret/tiny"]))
    assert list(encoders().items())[1:] == [("org/model", "org/model"), ("/srv/secret/tiny", "tiny")]
