"""The toy world of the lessons: 24 known books, what their texts say, and readers whose next book has known odds.

V = 24 items, D_text = 12 theme words. A book's text is its theme words; the "encoder" counts words, then centres and
scales to unit length as `foster.encoder` does with real texts. Readers are simulated, so the truth is known: the next
book depends on the last one alone, by `odds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from foster import metrics
from foster.evaluate import Scorer
from foster.interactions import Interactions

SHELVES = ("Space", "Magic", "Love", "Crime")
THEMES: tuple[str, ...] = ("space", "survival", "aliens", "magic", "quest", "school")
THEMES += ("love", "manor", "family", "murder", "clue", "revenge")
# title, shelf, theme words, fame (how often a reader without a plan picks it)
BOOKS: tuple[tuple[str, str, str, int], ...] = (
    ("Dune", "Space", "space survival family", 10),
    ("The Martian", "Space", "space survival clue", 6),
    ("Ender's Game", "Space", "space aliens school", 4),
    ("The War of the Worlds", "Space", "aliens survival", 3),
    ("Solaris", "Space", "space aliens love", 1),
    ("Foundation", "Space", "space quest", 2),
    ("Harry Potter", "Magic", "magic school quest", 14),
    ("The Hobbit", "Magic", "magic quest", 8),
    ("A Game of Thrones", "Magic", "magic family revenge", 6),
    ("A Wizard of Earthsea", "Magic", "magic school", 1),
    ("The Name of the Wind", "Magic", "magic school revenge", 2),
    ("The Princess Bride", "Magic", "magic quest love revenge", 2),
    ("Pride and Prejudice", "Love", "love manor family", 10),
    ("Emma", "Love", "love family", 3),
    ("Jane Eyre", "Love", "love manor school", 4),
    ("Wuthering Heights", "Love", "love manor revenge", 3),
    ("Anna Karenina", "Love", "love family quest", 2),
    ("Outlander", "Love", "love magic manor", 1),
    ("Gone Girl", "Crime", "murder love clue", 8),
    ("The Hound of the Baskervilles", "Crime", "murder clue manor", 6),
    ("Murder on the Orient Express", "Crime", "murder clue revenge", 5),
    ("The Name of the Rose", "Crime", "murder clue school", 2),
    ("The Godfather", "Crime", "murder family revenge", 4),
    ("And Then There Were None", "Crime", "murder manor survival", 2),
)
TITLES = tuple(title for title, *_ in BOOKS)
SHELF = tuple(SHELVES.index(shelf) for _, shelf, *_ in BOOKS)
FAME = np.array([fame for *_, fame in BOOKS], dtype=float)
READERS, FRESH_READERS, BOOKS_READ = 400, 1000, 10
STAY, MOVE, ANY = 0.60, 0.25, 0.15
SHOWN = 3  # books in a recommendation


@lru_cache(maxsize=1)
def features() -> Tensor:
    """Text features [V, D_text]: theme words counted, centred over the books, unit length."""
    counts = torch.tensor([[float(theme in words.split()) for theme in THEMES] for _, _, words, _ in BOOKS])
    return torch.nn.functional.normalize(counts - counts.mean(0), dim=-1)


@lru_cache(maxsize=1)
def odds() -> np.ndarray:
    """The truth: probability [V, V] of the next book (column) after the last one (row), the diagonal zero.

    60 % stay on the shelf with a book of similar text, 25 % go to the next shelf (Space → Magic → Love → Crime → Space)
    to a book of similar text, 15 % take any book; among equals, the famous first.
    """
    cosine = (features() @ features().T).numpy().astype(float)
    shelf = np.array(SHELF)
    pull = FAME**0.5 * np.exp(4.0 * cosine)
    np.fill_diagonal(pull, 0.0)
    same = shelf[:, None] == shelf[None, :]
    onward = (shelf[:, None] + 1) % len(SHELVES) == shelf[None, :]
    anything = np.tile(FAME, (len(FAME), 1)) * (1 - np.eye(len(FAME)))

    def rows(weights: np.ndarray) -> np.ndarray:
        return weights / weights.sum(1, keepdims=True)

    return STAY * rows(pull * same) + MOVE * rows(pull * onward) + ANY * rows(anything)


def _read(readers: int, seed: int) -> np.ndarray:
    """Books [readers, BOOKS_READ] that simulated readers take."""
    random = np.random.default_rng(seed)
    steps = odds().cumsum(1)
    books = np.zeros((readers, BOOKS_READ), dtype=np.int64)
    books[:, 0] = random.choice(len(BOOKS), readers, p=FAME / FAME.sum())
    for place in range(1, BOOKS_READ):
        draws = random.random((readers, 1))
        books[:, place] = (draws > steps[books[:, place - 1]]).sum(1).clip(max=len(BOOKS) - 1)
    return books


@dataclass(frozen=True, eq=False)
class ToyWorld:
    """log: what models learn from. fresh: books [FRESH_READERS, BOOKS_READ] of readers nobody has seen; the last one
    is what a model has to recommend."""

    log: Interactions
    fresh: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """How often each book was read, float [V]."""
        return np.bincount(self.log.items, minlength=len(BOOKS)).astype(float)

    def hits(self, scorer: Scorer) -> float:
        """Recall@3: share of fresh readers whose last book is among the three recommended after the others.

        Full ranking, ties counted against the scorer, nothing masked: readers may take a book again.
        """
        scores = scorer(list(self.fresh[:, :-1]))
        return metrics.recall_at(metrics.ranks_of(scores, self.fresh[:, -1]), SHOWN)


@lru_cache(maxsize=8)
def toy_world(seed: int) -> ToyWorld:
    books = _read(READERS, seed)
    offsets = np.arange(READERS + 1) * BOOKS_READ
    log = Interactions(books.ravel(), offsets, tuple(f"reader {number}" for number in range(READERS)))
    return ToyWorld(log, _read(FRESH_READERS, 1_000_003 + seed))


def truth_scorer(histories: Sequence[np.ndarray]) -> np.ndarray:
    """The best possible recommender: the odds themselves."""
    return odds()[[int(past[-1]) for past in histories]].astype(np.float32)


def popular_scorer(world: ToyWorld) -> Scorer:
    """The same famous books for everyone."""
    return lambda histories: np.tile(world.counts.astype(np.float32), (len(histories), 1))
