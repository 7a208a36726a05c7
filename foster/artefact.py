"""The file of a synthetic set. The finest step of its labels is taken with which it keeps within its bytes; of a set
that was read back the one that it had, if it does.

Matrices are rounded to 8 bits or fewer a number (`foster.rounding`), label queries to whole steps of what is not
foretold (`foster.label_code`), and all whole numbers, item ids too, compressed without loss. The recipe of its students
is in the header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised
from safetensors.torch import save_file
from torch import Tensor

from foster.errors import UserError
from foster.label_basis import LabelBasis
from foster.label_code import MATRIX_BITS, LabelCode, Read, expanded, foretelling, read_back, squeezed, whole_steps
from foster.rounding import pack, unpack
from foster.stored_form import item_type
from foster.synthetic import UNUSED, SyntheticSequences
from foster.training import Recipe

SCHEMA = 7
MATRICES = ("projection", "straight", "units", "out")  # P, A, F and G of `LabelBasis`
FORETELLING = "foretelling"  # M of `foster.label_code`
ENTRY_BYTES = 160  # of the queries and their step in the header, at most
MOST_STEP = 8.0  # in a file that is read: with longer ones labels would say nothing
# Steps of a query: of the finest rounding loses next to nothing, where none is beyond 127 of them.
FINEST, COARSEST, HALVINGS = 0.04, 0.6, 7
Stored = tuple[dict[str, Tensor], dict[str, Any]]  # tensors by name, and what the header says of them


def save(synthetic: SyntheticSequences, path: Path, recipe: Recipe, features: Tensor, available_bytes: int) -> None:
    """Write the artefact in at most so many bytes, if that can be; features [V, D_text]: the public ones. `path` is
    replaced in one step."""
    tensors, meta = packed(synthetic, recipe, features, available_bytes)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, _header(meta))
    partial.replace(path)


def load(path: Path, features: Tensor) -> tuple[SyntheticSequences, Recipe]:
    """Read an artefact back, with the public features [V, D_text] that it was made with, and where they are. Raises
    UserError for a file that is not one, has another schema or was made with other features."""
    try:
        with safe_open(path, "pt") as file:
            meta = json.loads((file.metadata() or {})["foster"])
            if meta["schema"] != SCHEMA:
                raise UserError(f"{path.name} has schema {meta['schema']}, this foster reads {SCHEMA}; distil it anew")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        known = (meta["n_items"], meta["text_width"])
        if known != tuple(features.shape):
            raise UserError(
                f"{path.name} is of {known[0]} items with {known[1]} numbers of text each, not {features.shape[0]} "
                f"with {features.shape[1]}; give the catalogue and the text encoder that it was made with"
            )
        return unpacked((tensors, meta), features)
    except (OSError, KeyError, TypeError, ValueError, OverflowError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{path.name} is no synthetic set ({error}); choose a synthetic.safetensors") from None


def as_stored(
    synthetic: SyntheticSequences, recipe: Recipe, features: Tensor, available_bytes: int
) -> SyntheticSequences:
    """What would be read back, had it been stored in at most so many bytes."""
    return unpacked(packed(synthetic, recipe, features, available_bytes), features)[0]


@torch.no_grad()
def packed(synthetic: SyntheticSequences, recipe: Recipe, features: Tensor, available_bytes: int) -> Stored:
    """What `save` writes."""
    length = synthetic.items.shape[1]
    narrow = item_type(len(features))
    items = torch.where(synthetic.items == UNUSED, torch.iinfo(narrow).max, synthetic.items).to(narrow)
    tensors: dict[str, Tensor] = {"items": squeezed(items)}
    for name, matrix in zip(MATRICES, synthetic.maps.matrices, strict=True):
        levels, tensors[f"{name}_scales"] = pack(matrix, synthetic.bits)
        tensors[name] = squeezed(levels)
    basis = synthetic.maps.rounded(synthetic.bits).rows(features)
    read = _read(synthetic.items, basis, synthetic.session)
    code = synthetic.code
    matrix = foretelling(synthetic.queries, read) if code is None else code.matrix.to(read.rows)
    levels, tensors[f"{FORETELLING}_scales"] = pack(matrix, MATRIX_BITS)
    tensors[FORETELLING] = squeezed(levels)
    tensors = {name: each.cpu().contiguous() for name, each in tensors.items()}
    meta = {
        "schema": SCHEMA,
        "sequences": synthetic.sequences,
        "length": length,
        "n_items": len(features),
        "text_width": features.shape[1],
        **asdict(synthetic.form),
        "recipe": recipe.told(),
    }
    left = available_bytes - len(serialised(tensors, _header(meta))) - ENTRY_BYTES

    def coded(step: float) -> Tensor:
        return squeezed(whole_steps(synthetic.queries, read, matrix, step).flatten(0, 1))

    fine, coarse = FINEST if code is None else code.step, COARSEST
    if len(coded(fine)) > left:
        for _ in range(HALVINGS):
            middle = (fine * coarse) ** 0.5
            fine, coarse = (fine, middle) if len(coded(middle)) <= left else (middle, coarse)
        fine = coarse
    return {**tensors, "queries": coded(fine)}, {**meta, "step": fine}


@torch.no_grad()
def unpacked(stored: Stored, features: Tensor) -> tuple[SyntheticSequences, Recipe]:
    """The inverse of `packed`, on the device of the features. Raises ValueError, KeyError or TypeError for what is
    none."""
    tensors, meta = stored
    numbers = {name: meta[name] for name in ("sequences", "length", "readings", "rank", "width", "hidden", "bits")}
    if not all(type(each) is int and each >= (name != "hidden") for name, each in numbers.items()):
        raise ValueError(f"its form is {numbers}")
    session, step = meta["session"], meta["step"]
    if session is not None and not (type(session) is int and 0 < session < numbers["length"]):
        raise ValueError(f"sessions of {session} do not fit readings of {numbers['length']}")
    if numbers["bits"] not in range(2, 9):
        raise ValueError(f"its matrices have {numbers['bits']} bits a number")
    if not (isinstance(step, float) and 0 < step <= MOST_STEP):
        raise ValueError(f"its labels have steps of {step}")
    rows, length, rank = numbers["sequences"] * numbers["readings"], numbers["length"], numbers["rank"]
    narrow = item_type(len(features))
    items = expanded(tensors["items"], (rows, length), narrow).long()
    items = torch.where(items == torch.iinfo(narrow).max, UNUSED, items)
    if int(items.max()) >= len(features) or int(items.min()) < UNUSED:
        raise ValueError(f"it reads items beyond the {len(features)} of the catalogue")
    width, hidden = numbers["width"], numbers["hidden"]
    shapes = ((width, features.shape[1]), (width, rank), (hidden, width), (hidden, rank))
    maps = LabelBasis(*(_matrix(tensors, name, shape) for name, shape in zip(MATRICES, shapes, strict=True)))
    matrix = _matrix(tensors, FORETELLING, (2 * rank + 2, rank))
    if not all(bool(each.isfinite().all()) for each in (*maps.matrices, matrix)):
        raise ValueError("its numbers are not whole")
    levels = expanded(tensors["queries"], (rows * length, rank), torch.int8).view(rows, length, rank)
    device = features.device
    found = SyntheticSequences(numbers["sequences"], items, levels.float(), maps, numbers["bits"], session).to(device)
    read = _read(found.items, found.basis(features), session)
    code = LabelCode(matrix.to(device), step)
    queries = read_back(found.queries, read, code.matrix, step)
    if not bool(queries.isfinite().all()):
        raise ValueError("its labels are not whole")
    return replace(found, queries=queries, code=code), Recipe(**meta["recipe"])


def _header(meta: dict[str, Any]) -> dict[str, str]:
    return {"foster": json.dumps(meta)}


def _matrix(tensors: Mapping[str, Tensor], name: str, shape: tuple[int, int]) -> Tensor:
    scales = tensors[f"{name}_scales"]
    if scales.shape != shape[:1]:
        raise ValueError(f"{name} has {len(scales)} scales for {shape[0]} rows")
    return unpack(expanded(tensors[name], shape, torch.int8), scales)


def _read(items: Tensor, basis: Tensor, session: int | None) -> Read:
    place = torch.arange(items.shape[1], device=items.device)
    used = items != UNUSED
    return Read(basis[items.clamp(min=0)] * used.unsqueeze(-1), used, place % (session or len(place)) == 0)
