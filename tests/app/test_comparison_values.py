"""What a comparison says, from planted reports: shares, spreads, reasons, costs, and who may be compared with whom."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from run_folders import HOSTILE

from foster.spec import RunSpec
from foster.ui import contest, costs, lineup, reasons
from foster.ui.costs import bill
from foster.ui.lineup import Entrant, Metric, Part

SPEC = RunSpec(sequences=20, length=10)
DATA = {"users": 10, "items": 30, "interactions": 100, "history_masked": True}


def row(mean: float, std: float = 0.0, n: int = 1) -> dict[str, Any]:
    return {"recall@10": {"mean": mean, "std": std, "n": n}, "ndcg@10": {"mean": mean / 2, "std": std / 2, "n": n}}


def entrant(letter: str, spec: RunSpec = SPEC, own_expert: bool = True, **changes: Any) -> Entrant:
    valid = {"full": row(0.2), "soft": row(0.142, 0.004, 3), "start_soft": row(0.13, 0.004, 3), "random": row(0.05)}
    report = {
        "data": DATA,
        "version": "1",
        "engine": 1,
        "device": "cpu",
        "stored_bytes": {"soft": 4000, "hard": 400, "log": 9000},
        "seconds": {"experts": 100.0, "distil": 50.0, "students": 70.0},
        "peak_memory_mb": 800.0,
        **changes,
    }
    report.setdefault("valid", valid)
    return Entrant(letter, f"run-{letter}", f"name {letter}", spec, report, own_expert)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def with_soft(letter: str, mean: float, std: float = 0.004, n: int = 3, **changes: Any) -> Entrant:
    return entrant(letter, valid={"full": row(0.2), "soft": row(mean, std, n)}, **changes)


def test_shares_are_of_the_run_s_own_full_data_model() -> None:
    score = entrant("A").score("soft", Metric.RECALL, Part.VALID)
    assert score is not None
    assert (score.share, score.share_std, score.n) == (pytest.approx(0.71), pytest.approx(0.02), 3)
    assert entrant("A").score("soft", Metric.RECALL, Part.TEST) is None
    assert entrant("A").score("no such row", Metric.RECALL, Part.VALID) is None


@pytest.mark.parametrize(
    "valid",
    [None, 3, {"soft": 4}, {"soft": {"recall@10": {"mean": None}}}, {"soft": {"recall@10": {"mean": float("nan")}}}],
)
def test_a_report_cut_short_tells_nothing_and_breaks_nothing(valid: Any) -> None:
    broken = entrant("A", valid=valid, seconds=None, stored_bytes=[], data=None)
    assert broken.score("soft", Metric.RECALL, Part.VALID) is None
    assert "has no comparison" in reasons.worth(broken, Metric.RECALL, Part.VALID)
    assert "cannot be compared" in reasons.duel(entrant("B"), broken, Metric.RECALL, Part.VALID)
    assert contest.standings([broken], Metric.RECALL, Part.VALID, contest.Scale.SHARE).alt
    assert costs.table([broken])
    assert "not known" in costs.told(broken, [broken], Part.VALID)


def test_without_a_full_data_model_there_is_a_score_but_no_share() -> None:
    alone = entrant("A", valid={"soft": row(0.1)})
    score = alone.score("soft", Metric.RECALL, Part.VALID)
    assert score is not None
    assert (score.mean, score.share) == (0.1, None)


def test_a_duel_says_how_much_by_what_and_whether_it_is_more_than_chance() -> None:
    b = with_soft("B", 0.124, spec=replace(SPEC, sequences=10), stored_bytes={"soft": 2000, "log": 9000})
    assert plain(reasons.duel(entrant("A"), b, Metric.RECALL, Part.VALID)) == (
        "A's soft set reaches 71 % of full data, 9 points more than B's 62 %: more than the spread of 3 students each "
        "(± 2.8 points). A used twice the sequences (20 instead of 10), and stores 4.0 kB instead of 2.0 kB. "
        "Nothing else differs, but each was distilled once: another seed may move both."
    )


def test_a_small_difference_is_not_called_one() -> None:
    said = plain(reasons.duel(with_soft("A", 0.142), with_soft("B", 0.140), Metric.RECALL, Part.VALID))
    assert "within the spread of 3 students each (± 2.8 points), so it may be chance" in said
    assert "Nothing that matters differs" in said


def test_a_difference_that_rounding_turns_round_is_told_unrounded_too() -> None:
    """71.5 against 70.4 % is 1.1 points, told as 2: more than ± 1.4 as rounded, less as it is."""
    said = plain(reasons.duel(with_soft("A", 0.1431, 0.002), with_soft("B", 0.1408, 0.002), Metric.RECALL, Part.VALID))
    assert "2 points more than B's 70 %: within the spread of 3 students each" in said
    assert "(± 1.4 points, unrounded the difference is 1.1), so it may be chance" in said


def test_a_difference_that_looks_like_its_spread_is_told_more_exactly() -> None:
    """70.95 against 69.95 %: told as 1 point, and so is the spread of 0.98."""
    said = plain(reasons.duel(with_soft("A", 0.14190, 0.00139), with_soft("B", 0.13990, 0.00139), Metric.RECALL,
                              Part.VALID))  # fmt: skip
    assert "1 point more" in said
    assert "more than the spread of 3 students each (± 0.98 points, unrounded the difference is 1.00)" in said


def test_how_many_teachers_there_were_is_told_and_is_no_setting() -> None:
    a, b = with_soft("A", 0.142, experts=4), with_soft("B", 0.12, experts=1)
    said = plain(reasons.duel(a, b, Metric.RECALL, Part.VALID))
    assert "A used 4 teachers instead of 1. Nothing else differs" in said
    fewer = with_soft("B", 0.12, experts=1, spec=replace(SPEC, sequences=10))
    said = plain(reasons.duel(a, fewer, Metric.RECALL, Part.VALID))
    assert "A used twice the sequences (20 instead of 10) and 4 teachers instead of 1. Nothing else differs" in said
    (each,) = lineup.differences([a, b])
    assert each.values == ("4", "1")
    assert not lineup.differences([a, with_soft("C", 0.12)]), "where it is not known for all it is not told"


def test_a_single_student_has_no_spread() -> None:
    said = reasons.duel(with_soft("A", 0.18, 0.0, 1), with_soft("B", 0.10), Metric.RECALL, Part.VALID)
    assert "though how far students scatter is unknown, for one of the two is a single student" in said
    alone = reasons.duel(with_soft("A", 0.18, 0.0, 1), with_soft("B", 0.10, 0.0, 1), Metric.RECALL, Part.VALID)
    assert "for each is a single student" in alone
    mixed = plain(reasons.duel(with_soft("A", 0.18, 0.004, 5), with_soft("B", 0.10), Metric.RECALL, Part.VALID))
    assert "more than the spread of 5 and 3 students (±" in mixed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 4}, "They differ in the seed alone, so the difference shows what chance does."),
        ({"regularisation": 0.3}, "A used γ 0.1 instead of 0.3. Nothing else differs"),
        ({"length": 20, "regularisation": 0.0}, "They differ in 2 settings at once, so this comparison cannot say"),
        ({"report_test": True, "students": 5}, "Nothing that matters differs"),
        ({"sequences": 8}, "A used 20 sequences instead of 8"),
        ({"sequences": 40}, "half the sequences (20 instead of 40)"),
        ({"steps": 30}, "distillation steps by rule instead of 30"),
    ],
)
def test_reasons_name_what_differs(changes: dict[str, Any], said: str) -> None:
    other = with_soft("B", 0.12, spec=replace(SPEC, **changes))
    assert said in plain(reasons.duel(with_soft("A", 0.142), other, Metric.RECALL, Part.VALID))


def test_worth_tells_of_the_start_and_of_the_best_control() -> None:
    valid = {
        "full": row(0.2), "soft": row(0.142, 0.004, 3), "start_soft": row(0.13, 0.004, 3), "hard": row(0.06, 0.001, 3),
        "random": row(0.05), "k_centre": row(0.15), "start_hard": row(0.19),
    }  # fmt: skip
    said = plain(reasons.worth(entrant("A", valid=valid), Metric.RECALL, Part.VALID))
    assert "reaches 71 % of full data (0.142 ± 0.004, n = 3; full data 0.200, n = 1)" in said
    assert "6 points more than its start gave, more than the spread of 3 students each (± 2.8 points)" in said
    assert "Its hard form, plain lists of items, reaches 30 %." in said
    assert (
        "The best control, “k_centre”, reaches 75 %: above the soft set, though how far students scatter is unknown"
        in said
    )


def test_unknown_rows_are_shown_with_their_name_as_text() -> None:
    valid = {"full": row(0.2), "soft": row(0.1), **{title: row(0.05) for title in HOSTILE}}
    hostile = entrant("A", valid=valid)
    assert set(lineup.row_order([hostile], Metric.RECALL, Part.VALID)) == set(valid)
    chart = contest.standings([hostile], Metric.RECALL, Part.VALID, contest.Scale.SHARE)
    spec = json.dumps(chart.figure.to_plotly_json(), default=list).replace("<br>", "").replace("<extra></extra>", "")
    assert "<" not in spec
    assert "$" not in spec
    assert "\u202e" not in lineup.row_name(HOSTILE[6])


def test_runs_on_different_data_are_different_groups() -> None:
    films = entrant("B", spec=replace(SPEC, data="/srv/secret/films"))
    grown = entrant("C", data={**DATA, "users": 11})
    found = lineup.groups([entrant("A"), films, grown, entrant("D")])
    assert [[each.letter for each in group.entrants] for group in found] == [["A", "D"], ["B"], ["C"]]
    assert found[0].data == "sample books (10 users, 30 items, 100 events)"
    assert found[1].data.startswith("films (")
    assert "secret" not in found[1].data


def test_only_what_differs_is_listed_and_paths_are_not_shown() -> None:
    other = entrant("B", spec=replace(SPEC, data="/srv/secret/films", encoder="/srv/secret/bert"), version="2")
    found = {each.field: each.values for each in lineup.differences([entrant("A"), other])}
    assert found == {
        "data": ("sample books", "films"),
        "encoder": ("minilm", "bert"),
        "version": ("1 (engine 1)", "2 (engine 1)"),
    }
    assert lineup.differences([entrant("A"), entrant("B")]) == []


def test_cautions_name_full_models_versions_and_sets_larger_than_their_log() -> None:
    other = entrant("B", valid={"full": row(0.25), "soft": row(0.1)}, version="2", stored_bytes={"soft": 10, "log": 5})
    said = " ".join(reasons.cautions([entrant("A"), other], Metric.RECALL, Part.VALID))
    assert "(A 0.200, B 0.250)" in said
    assert "different versions of foster: 1 (engine 1), 2 (engine 1)." in said
    assert "The soft set of B takes more bytes than the log" in said
    assert reasons.cautions([entrant("A"), entrant("B")], Metric.RECALL, Part.VALID) == []


def test_break_even_counts_the_teacher_and_every_student() -> None:
    """experts 100 s, distil 50 s; 70 s for 3 + 3 + 1 students: 10 s each. n·100 > 150 + n·10 first at n = 2."""
    cost = bill(entrant("A"))
    assert (cost.full, cost.condense, cost.student) == (100.0, 50.0, 10.0)
    assert cost.pays_from == 2
    said = plain(costs.told(entrant("A"), [], Part.VALID))
    assert "Condensing is the faster way from the 2nd student on" in said
    assert "such a student reaches 71 % of full data" in said


def test_further_teachers_are_part_of_the_price_of_condensing() -> None:
    """experts 100 s for two: n·50 > 50 + 100 + n·10 first at n = 4."""
    cost = bill(entrant("A", experts=2))
    assert (cost.full, cost.condense, cost.student) == (50.0, 100.0, 10.0)
    assert cost.pays_from == 4
    assert bill(entrant("A", experts="two")).full == 100.0, "a broken report breaks nothing"


def test_a_cached_full_data_model_is_priced_by_the_run_that_trained_it() -> None:
    cached = entrant("A", own_expert=False, seconds={"experts": 0.1, "distil": 50.0, "students": 70.0})
    assert bill(cached).full is None
    assert "not known" in costs.told(cached, [cached], Part.VALID)
    assert bill(cached, [cached, entrant("B")]).full == 100.0
    assert "in another run, it came from the cache here" in costs.told(cached, [cached, entrant("B")], Part.VALID)
    elsewhere = entrant("C", spec=replace(SPEC, encoder="other"))
    on_gpu = entrant("D", device="cuda")
    assert bill(cached, [elsewhere, on_gpu]).full is None


def test_students_that_another_run_has_trained_took_no_time_here() -> None:
    """70 s for 7 students, 3 of which came from the cache: 17.5 s each."""
    shared = [["random", 0], ["random", 1], ["random", 2], ["untrained", 0]]
    assert bill(entrant("A", shared_students=shared)).student == 17.5
    assert bill(entrant("A", shared_students="some")).student == 10.0, "a broken report breaks nothing"


def test_slow_students_never_pay() -> None:
    slow = entrant("A", seconds={"experts": 5.0, "distil": 50.0, "students": 70.0})
    assert bill(slow).pays_from is None
    assert "does not pay in time" in costs.told(slow, [], Part.VALID)


def test_standings_say_every_score_and_draw_its_spread() -> None:
    chart = contest.standings([entrant("A"), with_soft("B", 0.1)], Metric.RECALL, Part.VALID, contest.Scale.SHARE)
    assert "A: Everything 0.200, n = 1, 100\u00a0% of full data; Distilled, soft 0.142 ± 0.004" in chart.alt
    a, b = chart.figure.data
    assert a.x[list(a.y).index(1 - 0.3)] == pytest.approx(0.71)
    assert list(b.error_x.array)[1] == pytest.approx(0.02)
    assert (a.marker.symbol, a.marker.color) != (b.marker.symbol, b.marker.color)
    scores = contest.standings([entrant("A")], Metric.NDCG, Part.VALID, contest.Scale.SCORE)
    assert max(scores.figure.data[0].x) == pytest.approx(0.1)


def test_the_budget_curve_joins_runs_that_differ_in_sequences_alone() -> None:
    half = with_soft("B", 0.1, spec=replace(SPEC, sequences=10), stored_bytes={"soft": 2000, "hard": 200})
    other = with_soft("C", 0.11, spec=replace(SPEC, sequences=10, regularisation=0.3))
    chart = contest.budget_curve([entrant("A"), half, other], Metric.RECALL, Part.VALID, contest.Budget.SEQUENCES)
    soft = [trace for trace in chart.figure.data if trace.legendgroup == "soft"]
    assert [list(trace.x) for trace in soft] == [[10, 20], [10]]
    assert list(soft[0].y) == [pytest.approx(0.5), pytest.approx(0.71)]
    stored = contest.budget_curve([entrant("A"), half], Metric.RECALL, Part.VALID, contest.Budget.BYTES)
    found = {trace.legendgroup: list(trace.x) for trace in stored.figure.data}
    assert found["soft"] == [2000, 4000]
    assert found["random"] == [400], "a set of random sequences is stored as lists of ids"
    assert "2.0 kB" in stored.alt


def test_seconds_are_drawn_stage_by_stage() -> None:
    chart = contest.seconds([entrant("A", seconds={"distil": 5.0, "<b>new": 2.0})])
    assert {trace.name: list(trace.x) for trace in chart.figure.data} == {"Distilling": [5.0], "&#60;b&#62;new": [2.0]}
