"""The soft file as it was stored, and how to read it back: from Python with foster, or from its own header."""

from __future__ import annotations

import json
import struct
from typing import Any

from foster import words
from foster.exporters.finished import FinishedRun

FOLDER = "soft"
_MEANING = {
    "items": "catalogue rows that are read (the column `item` of items.parquet), reading × position; reading a of "
    "sequence m is row a·M + m, and the sequences shown as titles are the first M rows",
    "queries": "label queries q, reading × position × rank, in the order of `items`, two 4-bit numbers a byte "
    "(low half first, 8 added), to be multiplied by `query_scales`; what to recommend after a position is "
    "softmax(q · Bᵀ), with B as described below",
    "query_scales": "one factor for every row of `queries`",
    "projection": "directions P of the text features, width × text width: as I8 one number a byte, as U8 packed like "
    "`queries`",
    "projection_scales": "one factor for every row of `projection`",
    "lift": "the two matrices F and G of B, each 2·rank × rank, packed like `projection`",
    "lift_scales": "one factor for every row of `lift`",
    "lift_in": "the matrix F of B, units × width, packed like `projection`",
    "lift_in_scales": "one factor for every row of `lift_in`",
    "lift_out": "the matrix G of B, units × rank, packed like `projection`",
    "lift_out_scales": "one factor for every row of `lift_out`",
}


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


def _readme(run: FinishedRun, artefact: bytes) -> str:
    tensors = header(artefact)
    notes = tensors.pop("__metadata__", {})
    listed = "\n".join(
        f"- `{name}`, {each['dtype']}, shape {' × '.join(map(str, each['shape']))}: "
        f"{_MEANING.get(name, 'see `foster.synthetic` of the version that wrote it')}."
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

## How to read it back

With foster {words.version(run.report)} installed, in Python:

```python
from pathlib import Path
from foster.synthetic import SyntheticSequences

sequences, recipe = SyntheticSequences.load(Path("synthetic.safetensors"))
```

Without foster:

```python
from safetensors.numpy import load_file

tensors = load_file("synthetic.safetensors")   # name → array
```

## From queries to recommendations

B has one row an item: the first `rank` numbers of z plus gelu(F z)ᵀ G, where z is its centred, unit-length text
embedding x times P, scaled to length √width, gelu(a) = a Φ(a) (`sequences.basis(public_features(embeddings))`; z alone
where there is no lift). The embeddings are those of the text encoder `{run.encoder}` over each
item's text: title and further text columns of the catalogue, in its order. Those texts belong to the data's owner and
are not in here beyond title and category, so B needs the original catalogue. The likeliest recommendations of every
position of the first readings are in `recommendations.parquet`, readable without any of this.
"""
