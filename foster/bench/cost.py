"""What one step on the synthetic labels costs: first order beside second order and unrolled, and against the catalogue.

Every case has a process of its own. Memory is the peak of the steps above what the process held just before them, with
model, data and the kernels of a first small step loaded: resident memory on a CPU, allocated tensors on a GPU.

Against the catalogue the text features stay in a file, half precision, of which a step reads the rows of U and of the
inputs. What of the present engine grows with the number of items V all the same:
  - `Distiller` holds the label basis B [V, r], and makes it from all features once: `basis_mb`, `basis_s` below.
  - Up to V = 2·|U| a step scores the whole catalogue and needs its features [V, D_text] in memory (`whole` below).
  - `pipeline.World` holds the features [V, D_text] in memory in single precision; measured here are the steps alone.
Outside the loop's steps, and not measured here: arranging the start and labelling it score all items for a block of
readings, `fit_queries` holds labels [N, V] of a block, `drawn_rows` finds the likeliest item of every label once, and
evaluation scores the whole catalogue, as full ranking asks.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import torch
from torch import Generator, Tensor

from foster.bench import Say
from foster.bench.apart import above, apart
from foster.bench.steps import Size, exact, first_order, planted_losses, planted_texts, unrolled
from foster.console import table
from foster.words import plural

UPDATES = (1, 2, 4, 8, 16, 40)
TUNED = 1  # layers of the encoder that learn in the rows that say so
CATALOGUES = (1_000, 10_000, 100_000, 1_000_000)
TIMES = 5  # steps that are measured, after one that is not
LIMIT_MB = 8_192.0
WARM = Size(items=64, subset=8, sequences=2, length=3, rank=4, real=2, text_width=16, width=8, users=20, heads=2)
QUICK = Size(items=400, subset=64, sequences=4, length=5, rank=8, real=8, text_width=32, width=16, users=40, heads=2)


def measure(quick: bool, say: Say, *, device: str = "cpu", limit_mb: float = LIMIT_MB) -> dict[str, Any]:
    """forms: one row a form, with an encoder that is frozen and with one that learns (`tuned_layers`), `extrapolated`
    where it was not run because it would not fit `limit_mb`; ratios: what the longest unroll takes of what the first
    order does, for each of both; catalogue: one row a number of items. Rows hold peak_mb above the model's own and the
    median step_s of `times`."""
    size, times = (QUICK, 2) if quick else (Size(), TIMES)
    updates, catalogues = ((1, 2, 4), (100, 1_000)) if quick else (UPDATES, CATALOGUES)
    forms: list[dict[str, Any]] = []
    ratios: list[dict[str, Any]] = []
    for layers in (0, TUNED):
        told = f"{plural(layers, 'layer')} of the encoder learning, in a process of its own"
        tuned = replace(size, tuned_layers=layers)
        of_form: list[dict[str, Any]] = []
        for form in ("first order", "exact"):
            say(f"{form}, {told}")
            values = apart(one_form, form, 0, tuned, times, device)
            of_form.append({"form": form, "updates": None, "extrapolated": False, **values})

        def measured(count: int, tuned: Size = tuned, told: str = told) -> dict[str, float]:
            say(f"unrolled, {plural(count, 'update')}, {told}")
            return apart(one_form, "unrolled", count, tuned, times, device)

        of_form += unrolled_rows(updates, limit_mb, measured)
        forms += [{"tuned_layers": layers, **row} for row in of_form]
        first, last = of_form[0], of_form[-1]
        of_both = {name: last[name] / first[name] if first[name] > 0 else None for name in ("peak_mb", "step_s")}
        told_of_last = {name: last[name] for name in ("updates", "extrapolated")}
        ratios.append({"tuned_layers": layers, **told_of_last, **of_both})
    rows = []
    for n_items in catalogues:
        say(f"first order, {n_items:,} items, in a process of its own")
        with tempfile.TemporaryDirectory() as folder:
            rows.append(apart(one_catalogue, n_items, size, times, device, folder))
    return {
        "device": device,
        "size": vars(size),
        "times": times,
        "limit_mb": limit_mb,
        "forms": forms,
        "ratios": ratios,
        "catalogue": rows,
    }


def text(found: dict[str, Any]) -> str:
    size = found["size"]
    labels, items = (
        f"{size['sequences']} × {size['length']} labels",
        f"{size['subset']:,} of {size['items']:,} items a step",
    )
    head = f"{labels}, {items}, {found['device']}"
    rows = [
        (
            each["form"] if each["updates"] is None else f"unrolled, {plural(each['updates'], 'update')}",
            f"{plural(each['tuned_layers'], 'layer')} learning" if each["tuned_layers"] else "frozen",
            f"{each['peak_mb']:,.0f}",
            f"{1000 * each['step_s']:,.0f}",
            f"extrapolated, above {found['limit_mb']:,.0f} MB" if each["extrapolated"] else "",
        )
        for each in found["forms"]
    ]
    forms = table(("step", "encoder", "peak MB", "ms", ""), rows, numbers=(2, 3))
    against = "\n".join(
        f"{plural(each['updates'], 'update')} unrolled against first order, encoder "
        f"{'with ' + plural(each['tuned_layers'], 'layer') + ' learning' if each['tuned_layers'] else 'frozen'}: "
        f"{_times(each['peak_mb'])} the memory, {_times(each['step_s'])} the time"
        f"{' (extrapolated)' if each['extrapolated'] else ''}"
        for each in found["ratios"]
    )
    sizes = [
        (
            f"{each['items']:,}",
            *(f"{each[name]:,.1f}" for name in ("peak_mb", "basis_mb", "basis_s")),
            f"{1000 * each['step_s']:,.0f}",
        )
        for each in found["catalogue"]
    ]
    head_of_sizes = ("items", "peak MB of a step", "label basis MB", "made in s", "ms a step")
    catalogue = table(head_of_sizes, sizes, numbers=range(5))
    return (
        f"{head}\n\n{forms}\n\n{against}\n\nfirst order against the catalogue, text features in a file\n\n{catalogue}"
    )


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.1f} ×"


def unrolled_rows(
    updates: tuple[int, ...], limit_mb: float, measured: Callable[[int], dict[str, float]]
) -> list[dict[str, Any]]:
    """A row for each number of updates, rising: measured as long as a line through those before stays within the limit,
    read off that line beyond. Two are always measured."""
    rows: list[dict[str, Any]] = []
    known: list[tuple[int, dict[str, float]]] = []
    for count in updates:
        values, extrapolated = {}, False
        if len(known) >= 2:
            values = {
                name: float(np.polyval(np.polyfit([w for w, _ in known], [each[name] for _, each in known], 1), count))
                for name in known[0][1]
            }
            extrapolated = values["peak_mb"] > limit_mb
        if not extrapolated:
            values = measured(count)
            known.append((count, values))
        rows.append({"form": "unrolled", "updates": count, "extrapolated": extrapolated, **values})
    return rows


def one_form(form: str, updates: int, size: Size, times: int, device: str) -> dict[str, float]:
    """peak_mb and step_s of a form of `foster.bench.steps`."""
    warm = replace(WARM, tuned_layers=size.tuned_layers)
    prepared(form, updates, warm, random_features(warm, device))()
    step = prepared(form, updates, size, random_features(size, device))
    return _timed(step, times, device)


def prepared(form: str, updates: int, size: Size, features: Tensor) -> Callable[[], object]:
    """The step of a form, ready to be taken."""
    texts = planted_texts(size, features)
    if form == "first order":
        return first_order(size, texts)
    losses, queries = planted_losses(size, texts)
    return lambda: exact(losses, queries) if form == "exact" else unrolled(losses, queries, updates)


def one_catalogue(n_items: int, size: Size, times: int, device: str, folder: str) -> dict[str, Any]:
    """peak_mb and step_s of the loop's step, regulariser included, with features in a file under `folder`; basis_mb and
    basis_s of the loop's label basis."""
    first_order(WARM, random_features(WARM, device), regularisation=0.1)()
    size = Size(**{**vars(size), "items": n_items})
    features = FileFeatures.planted(Path(folder) / "features", size, device)
    whole = n_items <= 2 * size.subset
    # All that the loop asks of features is asked of this too, but in a small catalogue, where it scores them all.
    table = features[torch.arange(n_items)] if whole else cast(Tensor, features)
    began = time.perf_counter()
    step = first_order(size, table, regularisation=0.1)
    basis_s = time.perf_counter() - began
    return {
        "items": n_items,
        "whole": whole,
        "basis_mb": round(n_items * size.rank * 4 / 2**20, 2),
        "basis_s": round(basis_s, 3),
        **_timed(step, times, device),
    }


def _timed(step: Callable[[], object], times: int, device: str) -> dict[str, float]:
    def finished() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    spent: list[float] = []

    def all_steps() -> None:
        for _ in range(times + 1):
            began = time.perf_counter()
            step()
            finished()
            spent.append(time.perf_counter() - began)

    peak = above(all_steps, device)
    return {"peak_mb": peak, "step_s": round(median(spent[1:]), 5)}


def random_features(size: Size, device: str) -> Tensor:
    rows = torch.randn(size.items, size.text_width, generator=Generator().manual_seed(0))
    return torch.nn.functional.normalize(rows, dim=-1).to(device)


class FileFeatures:
    """Text features [V, D_text] in a file, half precision: a row is read when it is asked for, all of them only for a
    product, in blocks. As much of a tensor as the loop needs."""

    BLOCK = 8_192

    def __init__(self, path: Path, n_items: int, width: int, device: str) -> None:
        self.shape, self.device = (n_items, width), torch.device(device)
        self.file = os.open(path, os.O_RDONLY)

    @classmethod
    def planted(cls, path: Path, size: Size, device: str) -> FileFeatures:
        draw = np.random.default_rng(0)
        with path.open("wb") as file:
            for begin in range(0, size.items, cls.BLOCK):
                rows = draw.standard_normal((min(cls.BLOCK, size.items - begin), size.text_width), np.float32)
                (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16).tofile(file)
        return cls(path, size.items, size.text_width, device)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, ids: Tensor) -> Tensor:
        width = 2 * self.shape[1]
        read = b"".join(os.pread(self.file, width, width * row) for row in ids.tolist())
        return self._rows(read)

    def __matmul__(self, matrix: Tensor) -> Tensor:
        """[V, D_text] @ [D_text, r]."""
        width = 2 * self.shape[1]
        blocks = range(0, len(self), self.BLOCK)
        return torch.cat([self._rows(os.pread(self.file, self.BLOCK * width, width * at)) @ matrix for at in blocks])

    def _rows(self, read: bytes) -> Tensor:
        rows = np.frombuffer(read, np.float16).reshape(-1, self.shape[1]).astype(np.float32)
        return torch.from_numpy(rows).to(self.device)
