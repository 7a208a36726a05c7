"""Recommendations of stored students: what would come next after a history, list beside list.

A run keeps one student a row under `models/<name>.safetensors`: matrices in 8 bits with a scale for each row, vectors
in half precision, the model's shape as JSON in the header, read back strictly. V items, D_text text width; items are
catalogue rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor

from foster.encoder import TextEncoder, embeddings_file, load_embeddings, public_features
from foster.errors import UserError
from foster.evaluate import Scorer
from foster.formats import Dataset
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.tuning import Settled

SCHEMA = 4
PRIOR = "prior"  # of every item, in a model that has one
LEARNED = "text.found"  # what learned layers of the encoder say of every item, in a model that has such


def model_file(run: Path, name: str) -> Path:
    """Where a run folder keeps the student called `name`: full, soft, hard, random or untrained."""
    return run / "models" / f"{name}.safetensors"


def save_model(path: Path, model: SequentialRecommender) -> None:
    """Write the weights, rounded, with the model's shape in the header; `path` is replaced in one step.

    Matrices are rounded to 8 bits against the largest entry of each row, so entries move by at most 1/254 of that.
    Layers of the text encoder that have learned must be settled.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, value in model.state_dict().items():
        value = value.detach().cpu().contiguous()
        if value.ndim == 2:
            scale = (value.abs().amax(1, keepdim=True) / 127).clamp(min=1e-12)
            tensors[name], tensors[f"{name}.scale"] = (value / scale).round().to(torch.int8), scale
        else:
            tensors[name] = value.half()
    config = {name: value for name, value in asdict(model.config).items() if value is not None}
    shape = {"schema": SCHEMA, "text_width": model.projection.in_features, "config": config}
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, {"foster": json.dumps(shape)})
    partial.replace(path)


def load_model(path: Path, text_width: int, n_items: int | None = None) -> SequentialRecommender:
    """The model of `save_model`, in single precision on the CPU. n_items: of the catalogue that it will be asked about.

    Raises UserError for a file that is missing, damaged, of another schema, not exactly of the shape that its header
    names, or made for text features of another width.
    """
    try:
        with safe_open(path, "pt") as file:
            shape = json.loads((file.metadata() or {})["foster"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        if set(shape) != {"schema", "text_width", "config"} or shape["schema"] != SCHEMA:
            raise UserError(f"{path.name} is of another version of foster; distil again to make it anew")
        known = {field.name for field in fields(RecommenderConfig)}
        if not known - {"adapter", "repeat_rate", "repeat_decay"} <= set(shape["config"]) <= known:
            raise UserError(f"{path.name} describes a model that this version does not know; distil again")
        if type(shape["config"].get("adapter", False)) is not bool:
            raise ValueError(f"its adapter is {shape['config']['adapter']!r}, neither true nor false")
        if shape["text_width"] != text_width:
            raise UserError(
                f"{path.name} was made for text features of width {shape['text_width']}, these have {text_width}; "
                "use the encoder that the run names"
            )
        model = build_recommender(text_width, RecommenderConfig(**shape["config"]), Generator().manual_seed(0))
        if LEARNED in tensors:
            learned = tuple(tensors[LEARNED].shape)
            if len(learned) != 2 or learned[1] != text_width or n_items not in (None, learned[0]):
                raise ValueError(f"what its encoder learned is of shape {learned}")
            model.text = Settled(torch.zeros(tensors[LEARNED].shape))
        if PRIOR in tensors:
            if tensors[PRIOR].ndim != 1 or n_items not in (None, len(tensors[PRIOR])):
                raise ValueError(f"what it knows of popularity is of shape {tuple(tensors[PRIOR].shape)}")
            model.prior = torch.zeros(len(tensors[PRIOR]))
        weights = {name: value.float() for name, value in tensors.items() if not name.endswith(".scale")}
        for name in tensors.keys() - weights.keys():
            weights[name.removesuffix(".scale")] *= tensors[name]
        rounded = {name.removesuffix(".scale") for name in tensors.keys() - weights.keys()}
        whole = {name for name in weights if not tensors[name].is_floating_point()}
        if rounded != whole or any(not value.isfinite().all() for value in weights.values()):
            raise ValueError("weights that are not finite numbers")
        model.load_state_dict(weights)  # strict: names and shapes
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UserError(f"{path.name} is no stored student ({reason}); distil again to make it anew") from None
    return model


def item_features(dataset: Dataset, encoder: str, cache: Path) -> Tensor:
    """The public text features [V, D_text] that a run on `dataset` with `encoder` used; nothing is encoded here.

    They are shipped with the sample, else in the shared `cache`. Raises UserError when they are not there any more.
    """
    texts = dataset.catalog.texts
    if dataset.embeddings is not None and encoder == "minilm":
        return public_features(load_embeddings(dataset.embeddings, len(texts)))
    file = embeddings_file(TextEncoder(encoder, encoder), texts, cache)
    if not file.is_file():
        raise UserError(
            f"the embeddings of {dataset.name!r} by {encoder!r} are no longer in the cache; distil these data once "
            "more (a single step is enough) to make them again"
        )
    return public_features(load_embeddings(file, len(texts)))


@dataclass(frozen=True)
class Recommendation:
    """One place of a list. item: catalogue row; rank from 1; weight: its share of all that may be recommended."""

    item: int
    rank: int
    weight: float


def recommend(scorer: Scorer, history: Sequence[int], k: int, *, repeats: bool) -> list[Recommendation]:
    """The k likeliest next items after `history` (catalogue rows, oldest first), best first.

    scorer: of `foster.evaluate`, such as `model_scorer(model, features)`. repeats: whether an item of the history may
    come again, as in a log that holds repeats. Equal scores are ranked by catalogue row. Raises UserError for an empty
    history and for rows that are not in the catalogue.
    """
    if not len(history):
        raise UserError("the history is empty; put at least one title into it")
    if min(history) < 0:
        raise UserError(f"the history names catalogue row {min(history)}; rows start at 0")
    past = np.asarray(history, dtype=np.int64)
    try:
        scores = scorer([past])[0].astype(np.float64)
    except IndexError:
        raise UserError(f"the history names row {max(history)}, which is not in the catalogue") from None
    if not repeats:
        scores[past] = -np.inf
    order = np.argsort(-scores, kind="stable")[:k]
    order = order[np.isfinite(scores[order])]
    if not len(order):
        return []
    shares = np.exp(scores - scores[order[0]])
    shares /= shares.sum()
    return [Recommendation(int(item), rank, float(shares[item])) for rank, item in enumerate(order, start=1)]


@dataclass(frozen=True)
class Agreement:
    """A list held against a reference list. shared: items in both; overlap: shared ÷ length of the longer list.

    shifts: for every place of the list, how many ranks higher (+) or lower (−) the item stands than in the reference,
    None for an item that the reference does not have. missed: the reference's items that the list leaves out.
    """

    shared: int
    overlap: float
    shifts: tuple[int | None, ...]
    missed: tuple[int, ...]


def compare_lists(reference: Sequence[Recommendation], other: Sequence[Recommendation]) -> Agreement:
    """How `other` differs from `reference`.

    >>> first = [Recommendation(7, 1, 0.5), Recommendation(8, 2, 0.3)]
    >>> second = [Recommendation(8, 1, 0.4), Recommendation(9, 2, 0.2)]
    >>> compare_lists(first, second)
    Agreement(shared=1, overlap=0.5, shifts=(1, None), missed=(7,))
    """
    rank_of = {each.item: each.rank for each in reference}
    shifts = tuple(rank_of[each.item] - each.rank if each.item in rank_of else None for each in other)
    shared = sum(shift is not None for shift in shifts)
    there = {each.item for each in other}
    missed = tuple(each.item for each in reference if each.item not in there)
    return Agreement(shared, shared / max(1, len(reference), len(other)), shifts, missed)
