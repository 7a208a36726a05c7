"""Full-ranking evaluation under leave-one-out (METHOD §4), and the baselines that need no training.

Every scorer turns user histories into scores over the whole catalogue; ranks count ties against the scorer. The history
is masked only where the training log holds no repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from foster import metrics
from foster.interactions import MIN_EVENTS, Split
from foster.parallel import side_by_side
from foster.recommender import SequentialRecommender
from foster.repeats import Repeats
from foster.tuning import Texts

Part = Literal["valid", "test"]
Scorer = Callable[[Sequence[NDArray[np.int64]]], NDArray[np.float32]]
"""B histories (item rows, oldest first, at least one each) to scores [B, V]."""
Scorers = Callable[[Sequence[NDArray[np.int64]]], Sequence[NDArray[np.float32]]]
"""Histories to the scores of several recommenders, each in an array of its own."""


@dataclass(frozen=True)
class Protocol:
    """The held-out items of a split over a catalogue of V items; block: users scored together, few enough that their
    scores over a large catalogue are memory that is used again; users: those that are ranked, None for all."""

    split: Split
    n_items: int
    block: int = 256
    users: NDArray[np.int64] | None = None

    def of_some(self, most: int, seed: int) -> Protocol:
        """The protocol of up to `most` of its users, drawn uniformly; enough to choose by where there are many more."""
        users = self._asked()
        if len(users) <= most:
            return self
        return replace(self, users=np.sort(np.random.default_rng(seed).choice(users, most, replace=False)))

    def reaching_back(self, most: int, seed: int) -> list[tuple[Protocol, Part]]:
        """What to choose by among recommenders that have seen no event of the log: `most` held-out items, where there
        are as many. Validation items first, then the last of each training history, and so on backwards.

        A few hundred validation items alone rank recommenders that are nearly alike by luck. Of the protocol of all
        users.
        """
        assert self.users is None
        parts: list[tuple[Protocol, Part]] = [(self.of_some(most, seed), "valid")]
        left = most - len(parts[0][0]._asked())
        train = self.split.train.of_at_least(MIN_EVENTS)
        while left > 0 and train is not None:
            inner = replace(self, split=replace(train.leave_one_out(), mask_history=self.split.mask_history))
            for part in ("test", "valid"):
                if left > 0:
                    some = inner.of_some(left, seed)
                    parts.append((some, part))
                    left -= len(some._asked())
            train = inner.split.train.of_at_least(MIN_EVENTS)
        return parts

    def _asked(self) -> NDArray[np.int64]:
        return np.arange(self.split.train.n_users) if self.users is None else self.users

    def histories(self, part: Part, users: Sequence[int] | NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """What is known of each user before the held-out item: for test, the validation item too."""
        train = self.split.train
        known = []
        for user in users:
            past = train.sequence(user).astype(np.int64)
            known.append(past if part == "valid" else np.append(past, np.int64(self.split.valid[user])))
        return known

    def ranks(self, scorer: Scorer, part: Part, spread_on: torch.device | None = None) -> metrics.Ranks:
        """Rank [users] of every user's held-out item, 1 is best. spread_on: the device of a scorer that may have all
        its cores; None where others compute beside it."""
        return self.ranks_of_all(lambda histories: [scorer(histories)], part, spread_on)[0]

    def ranks_of_all(self, scorers: Scorers, part: Part, spread_on: torch.device | None = None) -> metrics.Ranks:
        """Ranks [scorers, users], as `ranks`, of several that score together."""
        asked = self._asked()
        blocks = [asked[start : start + self.block] for start in range(0, len(asked), self.block)]
        jobs = (partial(self._ranks, scorers, part, users) for users in blocks)
        if spread_on is None:
            return np.concatenate([job() for job in jobs], axis=1)
        with closing(side_by_side(jobs, spread_on)) as found:
            return np.concatenate(list(found), axis=1)

    def _ranks(self, scorers: Scorers, part: Part, users: NDArray[np.int64]) -> metrics.Ranks:
        targets = (self.split.valid if part == "valid" else self.split.test)[users]
        known = self.histories(part, users)
        rows = np.repeat(np.arange(len(known)), [len(past) for past in known])
        found = []
        for scores in scorers(known):
            if self.split.mask_history:
                scores[rows, np.concatenate(known)] = -np.inf
            found.append(metrics.ranks_of(scores, targets))
        return np.stack(found)


def model_scorer(model: SequentialRecommender, texts: Texts) -> Scorer:
    """Scores of a trained recommender; it reads the last `max_length` events of a history. Logits, or log p of their
    mixture with what comes again (`foster.repeats`), where the recommender reckons with it."""
    score = prior_scorers(model, texts, [model.prior])
    return lambda histories: score(histories)[0]


def prior_scorers(model: SequentialRecommender, texts: Texts, priors: Sequence[Tensor | None]) -> Scorers:
    """As `model_scorer`, of the model with each of some priors [V] in the place of its own; it reads only once."""
    device, longest = texts.device, model.config.max_length
    repeats = Repeats.of(model.config)
    with torch.inference_mode():
        table = model.item_table(texts)

    @torch.inference_mode()
    def score(histories: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        recent = [past[-longest:] for past in histories]
        sizes = [len(past) for past in recent]
        states = model.read(table[torch.from_numpy(np.concatenate(recent)).to(device)], sizes)
        last = torch.from_numpy(np.cumsum(sizes) - 1).to(device)
        logits = model.ranking_logits(states[last], table).float()
        asked = [logits if prior is None else logits + prior for prior in priors]
        if repeats is None:
            return [each.cpu().numpy() for each in asked]
        # by rows, as repeats are mixed in
        return [repeats.mixed(each.contiguous().log_softmax(-1).cpu().numpy(), recent) for each in asked]

    return score


def ensemble_scorer(models: Sequence[SequentialRecommender], texts: Texts) -> Scorer:
    """The mean of several models' next-item distributions."""
    scorers = [model_scorer(model, texts) for model in models]

    def score(histories: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        return np.mean([softmax(scorer(histories), axis=1) for scorer in scorers], axis=0)

    return score


def popular_scorer(split: Split, n_items: int) -> Scorer:
    """Most popular: the number of training events of an item, the same for every user."""
    counts = np.bincount(split.train.items, minlength=n_items).astype(np.float32)
    return lambda histories: np.tile(counts, (len(histories), 1))


def bigram_scorer(split: Split, n_items: int) -> Scorer:
    """Last-item bigram: how often an item followed the last one in training; popularity breaks ties."""
    train = split.train
    follows = np.ones(len(train.items), dtype=bool)
    follows[train.offsets[:-1]] = False  # a user's first event follows nothing
    after = np.flatnonzero(follows)
    before_items, after_items = train.items[after - 1].astype(np.int64), train.items[after].astype(np.int64)
    order = np.argsort(before_items, kind="stable")
    before_items, after_items = before_items[order], after_items[order]
    bounds = np.searchsorted(before_items, np.arange(n_items + 1))
    counts = np.bincount(train.items, minlength=n_items).astype(np.float32)
    popularity = counts / (1 + counts.sum())  # below one, so it never outweighs a transition

    def score(histories: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        scores = np.tile(popularity, (len(histories), 1))
        for row, past in enumerate(histories):
            last = past[-1]
            np.add.at(scores[row], after_items[bounds[last] : bounds[last + 1]], np.float32(1))
        return scores

    return score


def zero_shot_scorer(features: Tensor, recent: int) -> Scorer:
    """Zero-shot text similarity: cosine between an item's text and the mean text of the last `recent` items."""
    table = features.cpu().numpy()

    def score(histories: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        profiles = np.stack([table[past[-recent:]].mean(0) for past in histories])
        return np.asarray(profiles @ table.T, dtype=np.float32)

    return score
