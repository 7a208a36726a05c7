"""The students that a run keeps, loaded once for all sessions, with histories to try them on.

torch is imported when the first student is loaded, not with the page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from foster.errors import UserError
from foster.runs import Run
from foster.ui.engine import turn

if TYPE_CHECKING:
    from foster.evaluate import Scorer
    from foster.recommend import Recommendation

ROWS = ("full", "soft", "hard", "random", "untrained")
REMEMBERED = 256  # questions, of some hundred recommendations each
EXAMPLES, EXAMPLE_LENGTH, LEAST_EVENTS = 12, 8, 6


@dataclass(frozen=True)
class Example:
    """A user's last training events and the one that came next (the user's validation item), as catalogue rows."""

    items: tuple[int, ...]
    next: int


@dataclass(frozen=True, eq=False)
class Shelf:
    """scorers: row of the report → its student. problems: row → why it cannot be had. reads: row → how many titles it
    reads. repeats: whether a title may come again. examples: a typical reader first, then others from all over the
    log. n_readers: of the log; usual_events: the median of their training events, and the typical reader's."""

    scorers: Mapping[str, Scorer]
    problems: Mapping[str, str]
    reads: Mapping[str, int]
    n_items: int
    repeats: bool
    examples: tuple[Example, ...]
    n_readers: int
    usual_events: int
    _asked: dict[tuple[tuple[int, ...], int], Mapping[str, list[Recommendation]]] = field(default_factory=dict)

    def lists(self, history: Sequence[int], k: int) -> Mapping[str, list[Recommendation]]:
        """Every student's k likeliest next items; one session at a time, and the same question is answered once."""
        question = tuple(history), k
        with turn():
            from foster.recommend import recommend

            if question not in self._asked:
                if len(self._asked) >= REMEMBERED:
                    self._asked.clear()
                self._asked[question] = {
                    row: recommend(scorer, history, k, repeats=self.repeats) for row, scorer in self.scorers.items()
                }
            return self._asked[question]


def kept(run: Run) -> dict[str, Path]:
    """The students on disk, in the order of ROWS."""
    found = {row: run.path / "models" / f"{row}.safetensors" for row in ROWS}
    return {row: path for row, path in found.items() if path.is_file()}


def shelf(run: Run, cache: Path) -> Shelf:
    """Raises UserError when the data or the embeddings behind the students are gone or have changed."""
    files = kept(run)
    digests = tuple((row, _digest(path)) for row, path in files.items())
    return _load(str(run.path), digests, _run=run, _files=files, _cache=cache)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@st.cache_resource(max_entries=4, show_spinner="Waking the students …")
def _load(
    folder: str, digests: tuple[tuple[str, str], ...], _run: Run, _files: Mapping[str, Path], _cache: Path
) -> Shelf:
    from foster.formats import load_dataset

    dataset = load_dataset(_run.spec.data)
    items = _run.items()
    if items is None or items["item_id"].astype(str).tolist() != list(dataset.catalog.ids):
        raise UserError("the data set has changed since this run, so its students cannot be asked; distil it again")
    scorers, problems, reads = {}, {}, {}
    with turn():
        from foster.evaluate import model_scorer
        from foster.recommend import item_features, load_model

        features = item_features(dataset, _run.spec.encoder, _cache)
        for row, path in _files.items():
            try:
                model = load_model(path, features.shape[1], len(features))
            except UserError as error:
                problems[row] = str(error)
                continue
            scorers[row] = model_scorer(model, features)
            reads[row] = model.config.max_length
    split = dataset.interactions.leave_one_out()
    users = example_users(split.train.lengths)
    examples = tuple(
        Example(tuple(split.train.sequence(user)[-EXAMPLE_LENGTH:].tolist()), int(split.valid[user])) for user in users
    )
    usual = int(split.train.lengths[users[0]])
    return Shelf(
        scorers, problems, reads, len(dataset.catalog), not split.mask_history, examples, len(split.valid), usual
    )


def example_users(lengths: np.ndarray) -> list[int]:
    """The typical user, who is the first in the log with the (lower) median of all `lengths`, whatever anybody would
    recommend to them; then users from all over the log, with enough events to be a taste, or the most there are.

    >>> example_users(np.array([9, 3, 7, 6, 7]))
    [2, 0, 3, 4]
    """
    usual = np.sort(lengths)[(len(lengths) - 1) // 2]
    typical = int(np.flatnonzero(lengths == usual)[0])
    enough = np.flatnonzero(lengths >= min(LEAST_EVENTS, int(lengths.max())))
    spread = enough[np.unique(np.linspace(0, len(enough) - 1, min(EXAMPLES, len(enough))).round().astype(int))]
    return [typical, *(user for user in spread.tolist() if user != typical)]
