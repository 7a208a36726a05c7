"""The benchmark of cost: its steps against finite differences, its memory against what is planted, its schema."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from foster.bench import cost
from foster.bench.apart import above
from foster.bench.cost import QUICK, WARM, FileFeatures, random_features, unrolled_rows
from foster.bench.steps import Losses, exact, first_order, planted_losses, planted_texts, unrolled
from foster.distiller import Distiller
from foster.run_files import to_json
from foster.tuning import Learning, TunableTexts


def descended(losses: Losses, q: Tensor, updates: int, rate: float) -> float:
    """L_D after plain gradient descent on L_S, without a graph."""
    weights = losses.weights()
    for _ in range(updates):
        slopes = torch.autograd.grad(losses.at(weights, q), list(weights.values()))
        weights = {
            n: (w - rate * s).detach().requires_grad_() for (n, w), s in zip(weights.items(), slopes, strict=True)
        }
    return float(losses.at(weights, None).detach())


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("updates", "layers"), [(1, 0), (3, 0), (2, 1)])
def test_the_unrolled_gradient_equals_finite_differences(updates: int, layers: int) -> None:
    size = replace(WARM, tuned_layers=layers)
    losses, q = planted_losses(size, planted_texts(size, random_features(size, "cpu")))
    gradient = unrolled(losses, q, updates, rate=0.5)
    assert float(gradient.norm()) > 0
    for way in (gradient / gradient.norm(), torch.randn(q.shape, generator=torch.Generator().manual_seed(0))):
        step = 1e-4
        up, down = (descended(losses, q + sign * step * way, updates, 0.5) for sign in (1, -1))
        assert float((gradient * way).sum()) == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-9)


@pytest.mark.usefixtures("double")
def test_the_exact_step_is_the_unrolled_one_for_a_rate_that_vanishes() -> None:
    losses, q = planted_losses(WARM, random_features(WARM, "cpu"))
    rate = 1e-7
    torch.testing.assert_close(exact(losses, q), unrolled(losses, q, 1, rate) / rate, rtol=1e-3, atol=1e-9)


def test_in_every_form_the_encoder_learns_where_it_is_to(monkeypatch: pytest.MonkeyPatch) -> None:
    size = replace(WARM, tuned_layers=2)
    texts = planted_texts(size, random_features(size, "cpu"))
    losses, _ = planted_losses(size, texts)
    learned = [name for name in losses.weights() if ".text." in name]
    assert len(learned) == 2 * 16  # tensors of a BERT layer
    loops: list[Distiller] = []

    def kept(*arguments: Any, **options: Any) -> Distiller:
        loops.append(Distiller(*arguments, **options))
        return loops[-1]

    monkeypatch.setattr("foster.bench.steps.Distiller", kept)
    first_order(size, texts)()
    (path,) = loops[0].paths
    assert isinstance(texts, TunableTexts)
    assert isinstance(path.model.text, Learning)
    moved = [
        not torch.equal(a, b)
        for a, b in zip(texts.store.layers.parameters(), path.model.text.parameters(), strict=True)
    ]
    assert any(moved)


def test_all_forms_see_a_subset_of_the_size_that_is_told() -> None:
    losses, queries = planted_losses(QUICK, random_features(QUICK, "cpu"))
    assert len(losses.view.subset.items) == QUICK.subset
    assert queries.shape == (QUICK.sequences, QUICK.length, QUICK.rank)


def test_features_in_a_file_give_the_same_steps_as_in_memory(tmp_path: Path) -> None:
    kept = FileFeatures.planted(tmp_path / "features", QUICK, "cpu")
    everything = kept[torch.arange(QUICK.items)]
    assert everything.shape == (len(kept), QUICK.text_width)
    ids = torch.tensor([7, 0, 399, 7])
    assert torch.equal(kept[ids], everything[ids])
    matrix = torch.randn(QUICK.text_width, 3)
    torch.testing.assert_close(kept @ matrix, everything @ matrix)
    in_file, in_memory = (first_order(QUICK, each, regularisation=0.1) for each in (kept, everything))  # type: ignore[arg-type]
    assert in_file() == in_memory()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets an earlier peak")
def test_memory_is_counted_above_what_was_held_even_after_a_higher_peak() -> None:
    held = np.ones(200 * 2**17)
    del held
    # what is freed may stay with the process, so a part of it is no longer above what was held
    assert 60 < above(lambda: np.ones(100 * 2**17).sum()) < 110
    assert above(lambda: None) < 20


def test_beyond_the_limit_a_line_through_what_was_measured_is_told_as_such() -> None:
    asked: list[int] = []

    def planted(updates: int) -> dict[str, float]:
        asked.append(updates)
        return {"peak_mb": 10.0 + 5 * updates, "step_s": 0.5 * updates}

    rows = unrolled_rows((1, 2, 4, 8, 40), 32.0, planted)
    assert asked == [1, 2, 4]
    assert [row["extrapolated"] for row in rows] == [False, False, False, True, True]
    assert rows[-1]["peak_mb"] == pytest.approx(210)
    assert rows[-1]["step_s"] == pytest.approx(20)


def test_the_benchmark_measures_every_form_and_catalogue() -> None:
    found = json.loads(to_json(cost.measure(True, lambda line: None)))
    names = [(each["form"], each["updates"], each["tuned_layers"]) for each in found["forms"]]
    forms = [("first order", None), ("exact", None), *(("unrolled", w) for w in (1, 2, 4))]
    assert names == [(*form, layers) for layers in (0, 1) for form in forms]
    assert [(each["tuned_layers"], each["updates"]) for each in found["ratios"]] == [(0, 4), (1, 4)]
    for ratio, (first, last) in zip(found["ratios"], ((0, 4), (5, 9)), strict=True):
        assert ratio["step_s"] == found["forms"][last]["step_s"] / found["forms"][first]["step_s"]
    assert [(each["items"], each["whole"]) for each in found["catalogue"]] == [(100, True), (1_000, False)]
    for each in (*found["forms"], *found["catalogue"]):
        assert each["step_s"] > 0
        assert each["peak_mb"] >= 0
    assert "unrolled, 4 updates" in cost.text(found)
    assert "4 updates unrolled against first order, encoder with 1 layer learning" in cost.text(found)
    assert "1,000" in cost.text(found)
