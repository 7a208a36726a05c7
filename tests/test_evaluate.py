"""The protocol: what is ranked, what is masked, what each scorer may know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features
from literal import ranks
from torch import Generator

from foster import metrics
from foster.evaluate import Part, Protocol, bigram_scorer, model_scorer, popular_scorer, zero_shot_scorer
from foster.interactions import Interactions
from foster.recommender import RecommenderConfig, build_recommender


def log_of(*sequences: list[int]) -> Interactions:
    offsets = np.cumsum([0, *map(len, sequences)])
    return Interactions(np.concatenate(sequences), offsets, tuple(f"u{i}" for i in range(len(sequences))))


def flat(histories: Sequence[np.ndarray]) -> np.ndarray:
    return np.zeros((len(histories), 5), dtype=np.float32)


def test_a_scorer_without_an_opinion_ranks_last_because_ties_count_against_it() -> None:
    repeats = Protocol(log_of([0, 0, 1, 2, 3]).leave_one_out(), 5)
    assert repeats.ranks(flat, "valid").tolist() == [5]


@pytest.mark.parametrize(("sequence", "masked"), [([0, 1, 2, 3], True), ([0, 0, 2, 3], False)])
def test_history_is_masked_only_where_the_training_log_holds_no_repeats(sequence: list[int], masked: bool) -> None:
    """Five items tie; of the three that are known before the test item, all are out of the way, or none is."""
    split = log_of(sequence).leave_one_out()
    assert split.mask_history == masked
    assert Protocol(split, 5).ranks(flat, "test").tolist() == [2 if masked else 5]


def test_a_masked_target_ranks_last() -> None:
    """No repeats in training, but the user takes a known item again at the very end."""
    split = log_of([0, 1, 2, 0]).leave_one_out()
    assert split.mask_history
    assert Protocol(split, 5).ranks(flat, "test").tolist() == [5]


@pytest.mark.parametrize("part", ["valid", "test"])
def test_ranks_equal_the_naive_count_over_the_whole_catalogue_in_any_blocks(part: Part) -> None:
    split = log_of(*[[u % 9, u % 9, (2 * u) % 9, (5 * u + 1) % 9, u % 4] for u in range(17)]).leave_one_out()

    def coarse(histories: Sequence[np.ndarray]) -> np.ndarray:
        seeds = [int(past.sum()) for past in histories]
        return np.stack([np.random.default_rng(seed).integers(0, 3, 9) for seed in seeds]).astype(np.float32)

    known = Protocol(split, 9).histories(part, range(17))
    targets = (split.valid if part == "valid" else split.test).tolist()
    assert not split.mask_history
    expected = ranks(coarse(known).tolist(), targets)
    for block in (1, 4, 100):
        assert Protocol(split, 9, block).ranks(coarse, part).tolist() == expected
        assert Protocol(split, 9, block).ranks(coarse, part, torch.device("cpu")).tolist() == expected  # side by side


def test_popularity_counts_training_events_only() -> None:
    split = log_of([0, 1, 4, 4], [0, 2, 4, 4]).leave_one_out()
    assert popular_scorer(split, 5)([np.array([3])])[0].tolist() == [2, 1, 1, 0, 0]


def test_bigram_follows_the_last_item_and_lets_popularity_break_ties() -> None:
    split = log_of([0, 1, 0, 1, 0, 2, 9, 9], [3, 2, 9, 9]).leave_one_out()
    scores = bigram_scorer(split, 10)([np.array([5, 0]), np.array([0, 5])])
    assert scores[0].argmax() == 1  # 0 → 1 twice, 0 → 2 once
    assert scores[0][2] > scores[0][0]  # a transition outweighs any popularity
    assert scores[1].argmax() == 0  # nothing follows 5: the most popular
    assert scores[1][9] == 0  # held-out items are unknown
    # a user's first event follows nobody's last
    assert scores[0][3] < 1


def test_zero_shot_reads_only_the_most_recent_items() -> None:
    features = torch.eye(4)
    past = np.array([0, 1, 2])
    one, two = (zero_shot_scorer(features, n)([past])[0] for n in (1, 2))
    assert one.tolist() == [0, 0, 1, 0]
    assert two.tolist() == [0, 0.5, 0.5, 0]


def test_a_models_score_does_not_depend_on_who_else_is_in_the_block() -> None:
    features = random_features()
    model = build_recommender(16, RecommenderConfig(width=16, max_length=4), Generator().manual_seed(0))
    score = model_scorer(model, features)
    short, long = np.array([3]), np.arange(12)
    together = score([short, long])
    assert np.allclose(together[0], score([short])[0], atol=1e-5)
    assert np.allclose(together[1], score([long])[0], atol=1e-5)
    assert np.allclose(together[1], score([long[-4:]])[0], atol=1e-5)  # it reads its last max_length events


def test_a_catalogue_of_one_item_is_always_right() -> None:
    split = log_of([0, 0, 0, 0]).leave_one_out()
    protocol = Protocol(split, 1)
    for scorer in (popular_scorer(split, 1), bigram_scorer(split, 1), zero_shot_scorer(torch.zeros(1, 4), 10)):
        assert metrics.summary(protocol.ranks(scorer, "test"))["mrr"] == 1


def test_an_untrained_model_on_the_cycle_is_no_better_than_chance() -> None:
    split = cycle_log().leave_one_out()
    model = build_recommender(16, RecommenderConfig(width=16, max_length=8), Generator().manual_seed(0))
    found = metrics.recall_at(Protocol(split, N_ITEMS).ranks(model_scorer(model, random_features()), "test"), 1)
    assert found < 0.4


def test_of_some_users_each_is_ranked_as_among_all() -> None:
    protocol = Protocol(cycle_log().leave_one_out(), N_ITEMS, block=7)
    scorer = popular_scorer(protocol.split, N_ITEMS)
    some, all_of_them = protocol.of_some(20, seed=3), protocol.ranks(scorer, "test")
    assert some.users is not None
    assert len(set(some.users.tolist())) == 20
    assert some.ranks(scorer, "test").tolist() == all_of_them[some.users].tolist()
    assert some.ranks(scorer, "valid").tolist() == protocol.ranks(scorer, "valid")[some.users].tolist()
    assert protocol.of_some(20, seed=3).users.tolist() == some.users.tolist()
    assert protocol.of_some(20, seed=4).users.tolist() != some.users.tolist()
    assert protocol.of_some(40, seed=3) is protocol
    assert set(some.of_some(5, seed=0).users.tolist()) < set(some.users.tolist())


def test_reaching_back_asks_for_the_log_from_its_end_backwards() -> None:
    log = log_of([0, 1, 2, 3, 4, 5, 6], [5, 6, 7, 8])
    protocol = Protocol(log.leave_one_out(), 9)

    def asked(most: int) -> list[tuple[list[int], int]]:
        """Histories and targets of everything that is asked for."""
        found = []
        for some, part in protocol.reaching_back(most, seed=0):
            users = np.arange(some.split.train.n_users) if some.users is None else some.users
            targets = (some.split.valid if part == "valid" else some.split.test)[users]
            histories = [past.tolist() for past in some.histories(part, users)]
            found += zip(histories, targets.tolist(), strict=True)
        return found

    everything = [
        ([0, 1, 2, 3, 4], 5),
        ([5, 6], 7),  # the other history is too short to be asked for more
        ([0, 1, 2, 3], 4),
        ([0, 1, 2], 3),
        ([0, 1], 2),
        ([0], 1),
    ]
    assert asked(100) == everything
    assert asked(4) == everything[:4]
    assert len(asked(1)) == 1


def test_reaching_back_masks_what_is_known_where_the_whole_log_does() -> None:
    protocol = Protocol(log_of([0, 0, 1, 2, 3, 4]).leave_one_out(), 5)
    assert not any(some.split.mask_history for some, _ in protocol.reaching_back(100, seed=0))
