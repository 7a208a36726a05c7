"""The soft file as it was stored, and how to read it back: from Python with foster, or from its own header."""

from __future__ import annotations

import json
import struct
from typing import Any

from foster import words
from foster.exporters.finished import FinishedRun

FOLDER = "soft"
_MATRIX = "whole numbers, row by row to be multiplied by `{0}_scales`"
_MEANING = {
    "items": "catalogue rows that are read (the column `item` of items.parquet), reading × position; reading a of "
    "sequence m is row a·M + m, the sequences shown as titles are the first M rows, and the largest number of its type "
    "stands where nothing is read",
    "queries": "whole numbers n of the label queries, (reading · position) × rank, read as described below",
    "projection": f"directions P of the text features, width × text width: {_MATRIX.format('projection')}",
    "straight": f"the matrix A of B, width × rank: {_MATRIX.format('straight')}",
    "units": f"the matrix F of B, hidden × width: {_MATRIX.format('units')}",
    "out": f"the matrix G of B, hidden × rank: {_MATRIX.format('out')}",
    "foretelling": f"the matrix M of what foretells a query, (2·rank + 2) × rank: {_MATRIX.format('foretelling')}",
}
_EARLIER = """## How to read it back

An earlier version of foster wrote this file, in a form of its own that this one does not read. The likeliest
recommendations of every position of the first readings are in `recommendations.parquet`; distil once more for a set
that can be read back.
"""


def soft(run: FinishedRun) -> dict[str, bytes]:
    if run.artefact is None:
        return {}
    return {f"{FOLDER}/synthetic.safetensors": run.artefact, f"{FOLDER}/README.md": _readme(run, run.artefact).encode()}


def header(artefact: bytes) -> dict[str, Any]:
    """The header of a safetensors file: a length in eight bytes, then JSON. {} for something else."""
    try:
        (length,) = struct.unpack_from("<Q", artefact)
        found = json.loads(artefact[8 : 8 + length])
    except (struct.error, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _meaning(name: str, tensors: dict[str, Any]) -> str:
    if "foretelling" in tensors and name.endswith("_scales"):
        return f"one factor for every row of `{name.removesuffix('_scales')}`"
    known = _MEANING if "foretelling" in tensors else {}
    return known.get(name, "see foster of the version that wrote it")


def _reading(run: FinishedRun, items: str) -> str:
    return f"""## How to read it back

With foster {words.version(run.report)} installed, in Python:

```python
from pathlib import Path
from foster.artefact import load
from foster.encoder import public_features

features = public_features(embeddings)         # [items, text width], of what is said below
sequences, recipe = load(Path("synthetic.safetensors"), features)
labels = sequences.labels(sequences.basis(features)).softmax(-1)   # [reading, position, item]
```

Without foster: all whole numbers are compressed by bzip2, column by column, and of numbers of several bytes the low
bytes of all come first.

```python
import bz2

import numpy as np
from safetensors.numpy import load_file

tensors = load_file("synthetic.safetensors")   # name → array

def whole(name, rows, columns, kind="i1"):     # kind of `items`: "{items}"
    size = np.dtype(kind).itemsize
    planes = np.frombuffer(bz2.decompress(tensors[name].tobytes()), np.uint8).reshape(size, -1)
    return np.ascontiguousarray(planes.T).view("<" + kind).reshape(columns, rows).T
```

## From numbers to recommendations

B has one row b an item: zᵀ A + gelu(F z)ᵀ G, where z is its centred, unit-length text embedding x times P, scaled to
length √width, and gelu(a) = a Φ(a). The embeddings are those of the text encoder `{run.encoder}` over each item's text:
title and further text columns of the catalogue, in its order. Those texts belong to the data's owner and are not in
here beyond title and category, so B needs the original catalogue.

The query at a position is q = [b, q before, o, 1] M + step · n, with b of the item that is read there, and o = 1 and
zeros for the query before where a session opens, else o = 0. What to recommend after a position is softmax(q · Bᵀ). The
likeliest recommendations of every position of the first readings are in `recommendations.parquet`, readable without any
of this.
"""


def _readme(run: FinishedRun, artefact: bytes) -> str:
    tensors = header(artefact)
    notes = tensors.pop("__metadata__", {})
    items = "u2" if json.loads(notes.get("foster", "{}")).get("n_items", 0) < 2**16 else "i4"
    reading = _reading(run, items) if "foretelling" in tensors else _EARLIER
    listed = "\n".join(
        f"- `{name}`, {each['dtype']}, shape {' × '.join(map(str, each['shape']))}: {_meaning(name, tensors)}."
        for name, each in sorted(tensors.items())
    )
    described = "\n".join(f"- `{name}`: `{value}`" for name, value in sorted(notes.items()))
    return f"""# The soft form

`synthetic.safetensors` holds {run.spec.sequences} synthetic sequences of {run.spec.length} positions, in the form in
which they were learned and stored ({len(artefact):,} bytes). It is a [safetensors](https://github.com/huggingface/safetensors)
file: no code runs when it is opened.

## What is in it

{listed}

The header says also how a student is trained on it (`recipe`), and after how many positions a reading begins anew
(`session`; null or missing: a reading is one history). A label follows what was read in its session up to its position,
and a step of the recipe sees `batch_size` readings in all their sessions. Where the recipe has a `repeat_rate`, what a
student says is mixed with what is in the history that it reads: an item read last `a` events ago comes next with
probability repeat_rate · a^(−repeat_decay), all of them scaled down to 0.99 together if they are more, and the
student's own distribution over all items gets what is left of 1. Where `adapter` is true, a student places an item by a
linear projection of its feature plus what a two-layer network makes of that (`foster.recommender`). Where it has a
`text_rate`, the last layers of the text encoder learn at that rate too (how many: `tuned_layers` of the specification):
an item's feature is then the mean over its tokens, of unit length, minus the mean embedding of the untouched encoder,
of unit length again:

{described}

{reading}"""
