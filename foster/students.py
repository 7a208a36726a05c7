"""Fresh students: recommenders that see a synthetic set and nothing else, one for each seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from torch import Generator, Tensor

from foster.recommender import RecommenderConfig, SequentialRecommender, fresh_recommender
from foster.training import Batch, Recipe, Trainer, train
from foster.tuning import Texts, settled

Draw = Callable[[Generator], Batch]  # gives the batch of one step


def derived_seed(seed: int, *names: object) -> int:
    """A seed for one purpose: equal arguments give equal seeds, others unrelated ones; 0 ≤ result < 2⁶³."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def train_student(
    draw: Draw | None,
    texts: Texts,
    config: RecommenderConfig,
    recipe: Recipe,
    seed: int,
    each_step: Callable[[], None] = lambda: None,
) -> SequentialRecommender:
    """A randomly initialised recommender trained by `recipe` on the batches that `draw` gives; None: untrained.

    texts [V, D_text]: the public text features, or texts whose encoder learns too, on the device where the batches are.
    each_step is called after every step and may raise to stop. A recipe with `popularity` is one of plain sequences,
    which `draw` gives whole.
    """
    generator = Generator().manual_seed(seed)
    model = fresh_recommender(texts, config, generator)
    if draw is not None:
        dropout = Generator(texts.device).manual_seed(derived_seed(seed, "dropout"))
        size = recipe.subset
        gaps = recipe.event_dropout
        batches = (
            draw(generator).with_gaps(gaps, generator).on_subset(len(texts), size, generator)
            for _ in range(recipe.steps)
        )
        for _ in train(Trainer(model, texts, recipe, dropout), batches):
            each_step()
        if recipe.popularity is not None:
            model.prior = popularity(draw(generator), recipe.popularity, len(texts))
    return settled(model, texts)


def popularity(sequences: Batch, weight: float, n_items: int) -> Tensor:
    """λ log(1 + how often an item stands in plain sequences) [V]: what a student's logits get when it is asked."""
    return weight * sequences.often(n_items).float().log1p()


def every_step(batch: Batch) -> Draw:
    """The same batch at every step."""
    return lambda _: batch


def spread(runs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean, standard deviation over seeds (n − 1; 0 for one) and n of every metric.

    >>> spread([{"mrr": 1.0}, {"mrr": 3.0}])
    {'mrr': {'mean': 2.0, 'std': 1.4142135623730951, 'n': 2}}
    """
    found = {}
    for name in runs[0]:
        values = np.array([run[name] for run in runs])
        std = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        found[name] = {"mean": float(values.mean()), "std": std, "n": len(values)}
    return found
