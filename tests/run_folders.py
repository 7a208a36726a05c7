"""Run folders as a worker leaves them, in every state, without running anything. Values are planted, not measured."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

NOW = 1_790_000_000.0
MIXTURE = 1  # items an input row mixes
TITLES = (
    "The Hobbit",
    "The Left Hand of Darkness",
    "Dune",
    "Emma",
    "Persuasion",
    "Jane Eyre",
    "Beloved",
    "Kindred",
    "The Name of the Rose",
    "Gaudy Night",
    "The Big Sleep",
    "Rebecca",
    "The Moonstone",
    "Neuromancer",
    "Solaris",
    "The Dispossessed",
    "Middlemarch",
    "Great Expectations",
    "Bleak House",
    "A Wizard of Earthsea",
    "The Tombs of Atuan",
    "The Farthest Shore",
    "Dracula",
    "Frankenstein",
    "The Time Machine",
    "The War of the Worlds",
    "Carrie",
    "It",
    "Murder on the Orient Express",
    "Death on the Nile",
    "The ABC Murders",
    "Wuthering Heights",
    "Ulysses",
    "Dubliners",
    "Mrs Dalloway",
    "To the Lighthouse",
    "Orlando",
    "The Waves",
    "Things Fall Apart",
    "Half of a Yellow Sun",
)
GENRES = ("Fantasy", "Science fiction", "Romance", "Mystery", "Horror", "Classics", "Drama", "Poetry", "Travel")
HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "[click](javascript:document.title='owned')",
    "**bold** :red[red] :material/home: $x^2$ `code`",
    "$\\frac{1}{2}$ and <b>bold</b> <a href='https://example.org'>link</a>",
    "%{customdata[0]} {x} %{y}",
    "\u202eright to left override",
    "كتاب الأدغال",
    "🧨 emoji 🧵",
    "=cmd|' /C calc'!A0",
    "long " * 2000,
    "\"quoted\" & 'apostrophes' &lt;entity&gt;",
)


def lay_run(
    root: Path,
    run_id: str = "20260921-1000-foster-sample-0001",
    state: str = "done",
    *,
    sequences: int = 12,
    length: int = 8,
    titles: Sequence[str] = TITLES,
    categories: Sequence[str] = (),
    data: str = "sample",
    ready: str = "all",
    steps: int = 300,
    age: float = 0.0,
    **status: Any,
) -> Path:
    """One run. ready: "all" files of a finished run, "snapshots" what a running one has, "nothing" but the spec."""
    folder = root / run_id
    folder.mkdir(parents=True)
    spec = {
        "schema": 1,
        "data": data,
        "method": "foster",
        "sequences": sequences,
        "length": length,
        "regularisation": 0.1,
        "steps": steps,
        "students": 3,
        "seed": 0,
        "encoder": "minilm",
        "device": "auto",
        "report_test": False,
    }
    _json(folder / "spec.json", spec)
    fraction = {"queued": 0.0, "running": 0.55, "done": 1.0}.get(state, 0.4)
    _json(
        folder / "status.json",
        {
            "schema": 1,
            "state": state,
            "stage": "distil",
            "fraction": fraction,
            "message": "step 160 of 300",
            "paused": False,
            "heartbeat": time.time(),
            "created": NOW - age,
            "started": None if state == "queued" else NOW,
            "finished": NOW + 110 if state in ("done", "failed", "stopped") else None,
            "eta_s": 48.0 if state == "running" else None,
            "error": None,
            "pid": None,
            "device": None if state == "queued" else "cpu",
            **status,
        },
    )
    if ready == "nothing":
        return folder
    world = np.random.default_rng(7)
    items = _items(titles, categories or GENRES, world)
    items.to_parquet(folder / "items.parquet", index=False)
    _json(
        folder / "data.json",
        {
            "schema": 1,
            "name": data,
            "users": 3000,
            "items": len(items),
            "interactions": 69_066,
            "dropped": {"exact duplicate rows": 4},
            "repeat_share": 0.0,
        },
    )
    done = steps if ready == "all" else steps // 2
    _events(folder, done, steps, world)
    (folder / "log.txt").write_text(
        "2026-09-21 10:00:00 data: 3,000 users, 69,066 events\n2026-09-21 10:00:09 experts\n"
    )
    shots = sorted({0, *(round(steps ** (k / 12)) for k in range(1, 13))})
    shape = (sequences, length)
    inputs = _draw(shape, MIXTURE, len(items), world)
    first, last = (_draw(shape, 10, len(items), world) for _ in range(2))
    turn, limit = world.random(shape) ** 2, world.random(shape) ** 0.5
    sure = np.sort(world.dirichlet(np.full(MIXTURE, 0.8), shape))[..., ::-1]
    labels, weights = first, sure
    (folder / "snapshots").mkdir()
    for step in (step for step in shots if step <= done):
        share = np.log1p(step) / np.log1p(steps)
        labels = np.where((share >= turn)[..., None], last, first)
        weights = (0.1 + 0.4 * share * limit)[..., None] * 0.55 ** np.arange(10)
        read = {"input_": (inputs, sure)} if MIXTURE > 1 else {}
        _snapshot(folder, step, {"": (labels, weights), **read})
    if ready == "all":
        _result(folder, items, inputs, sure, labels, weights, world)
    return folder


def _draw(shape: tuple[int, int], number: int, items: int, world: np.random.Generator) -> np.ndarray:
    """Different items at every place, [M, L, number]."""
    rows = world.permuted(np.tile(np.arange(items), (shape[0] * shape[1], 1)), axis=1)
    return rows[:, :number].reshape(*shape, number)


@contextmanager
def held(folder: Path, name: str = "lock") -> Iterator[None]:
    """As long as a worker lives it holds the lock of its run; with "queue.lock" in the store's root, the drain's."""
    with (folder / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value))


def _items(titles: Sequence[str], categories: Sequence[str], world: np.random.Generator) -> pd.DataFrame:
    number = len(titles)
    groups = list(categories) if len(categories) == number else [categories[i % len(categories)] for i in range(number)]
    popularity = np.maximum(0, world.lognormal(3.5, 1.0, number).astype(int))
    return pd.DataFrame(
        {
            "item": np.arange(number),
            "item_id": [f"b{i:04d}" for i in range(number)],
            "title": list(titles),
            "category": groups,
            "popularity": popularity,
        }
    )


def _events(folder: Path, done: int, steps: int, world: np.random.Generator) -> None:
    lines: list[dict[str, Any]] = [{"kind": "stage", "stage": "data", "message": "reading"}]
    for check in range(1, 13):
        score = 0.1 * (1 - np.exp(-check / 4)) + 0.002 * world.standard_normal()
        lines.append(
            {
                "kind": "expert",
                "expert": 0,
                "check": check,
                "step": 50 * check,
                "loss": 7.0 - 0.1 * check,
                "score": float(score),
                "best": float(score),
                "done": check == 12,
            }
        )
    for step in range(0, done + 1, max(1, steps // 100)):
        fade, noise = np.exp(-step / (steps / 3)), world.standard_normal(5) * 0.02
        lines.append(
            {
                "kind": "distil",
                "step": step,
                "steps": steps,
                "synthetic_theta": 4.1 + fade + noise[0],
                "synthetic_omega": 3.8 + 0.6 * fade + noise[1],
                "gap": 0.3 + 0.4 * fade + noise[2],
                "real": 5.2 + 0.3 * fade + noise[3],
                "regulariser": 1.1 + 0.8 * fade + noise[4],
                "entropy": 3.4 + fade,
                "distance": 0.5,
            }
        )
        if step % (steps // 6) == 0:
            lines.append({"kind": "valid", "step": step, "recall@10": float(0.128 - 0.045 * fade), "ndcg@10": 0.06})
    with (folder / "events.jsonl").open("w") as file:
        for number, line in enumerate(lines):
            file.write(json.dumps({"time": NOW + number, **line}) + "\n")
        file.write('{"time": 1, "kind": "dis')  # a half-written last line, as a reader may meet it


def _snapshot(folder: Path, step: int, rows: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    (count, length, _) = rows[""][0].shape
    columns = {"sequence": np.repeat(np.arange(count), length), "position": np.tile(np.arange(length), count)}
    for prefix, (items, weights) in rows.items():
        columns[f"{prefix}items"] = [row.astype(np.int32) for row in items.reshape(-1, items.shape[-1])]
        columns[f"{prefix}weights"] = [row.astype(np.float32) for row in weights.reshape(-1, items.shape[-1])]
    pd.DataFrame(columns).to_parquet(folder / "snapshots" / f"{step:06d}.parquet", index=False)


def _result(
    folder: Path,
    items: pd.DataFrame,
    top: np.ndarray,
    weights: np.ndarray,
    labels: np.ndarray,
    spread: np.ndarray,
    world: np.random.Generator,
) -> None:
    count, length, _ = top.shape
    ids, titles = items["item_id"].tolist(), items["title"].tolist()

    def options(rows: np.ndarray, shares: np.ndarray) -> list[dict[str, Any]]:
        pairs = zip(rows, shares, strict=True)
        return [{"item_id": ids[row], "title": titles[row], "weight": float(share)} for row, share in pairs]

    records = []
    for m in range(count):
        for place in range(length):
            rows, shares = top[m, place], weights[m, place]
            after, sure = labels[m, place], spread[m, place]
            target = place + 1 < length  # the last position of a tied artefact has none
            records.append(
                {
                    "sequence": m,
                    "position": place,
                    "item": int(rows[0]),
                    "item_id": ids[rows[0]],
                    "title": titles[rows[0]],
                    "confidence": float(shares[0]),
                    "alternatives": options(rows, shares),
                    "label_title": titles[after[0]] if target else None,
                    "label_confidence": float(sure[0]) if target else None,
                    "labels": options(after, sure) if target else None,
                    "hard_item_id": ids[rows[0]],
                    "hard_title": titles[rows[0]],
                }
            )
    pd.DataFrame.from_records(records).to_parquet(folder / "sequences.parquet", index=False)
    pd.DataFrame(
        {
            "sequence": np.arange(count),
            "nearest_user": [f"u{m:04d}" for m in range(count)],
            "overlap": np.linspace(0.05, 0.4, count),
            "repetition": np.linspace(0.0, 0.1, count),
            "diversity": np.linspace(0.8, 0.6, count),
        }
    ).to_parquet(folder / "neighbours.parquet", index=False)
    group = items["category"].astype("category").cat.codes.to_numpy()
    centre = np.stack([np.cos(group * 0.7), np.sin(group * 0.7)], axis=1) * 4
    places = {
        f"{axis}_{view}": centre[:, int(axis == "y")] + world.normal(0, spread, len(items))
        for view, spread in (("real", 1.0), ("synthetic", 0.7), ("text", 0.5))
        for axis in ("x", "y")
    }
    mass = world.dirichlet(np.full(len(items), 0.3)) * count * length
    kept = {f"kept_{view}": np.full(len(items), share) for view, share in (("synthetic", 0.36), ("text", 0.31))}
    table = pd.DataFrame({"item": items["item"], **places, **kept, "mass": mass})
    table.to_parquet(folder / "map.parquet", index=False)
    hard = {"schema": 1, "sequences": [[ids[row[0]] for row in rows] for rows in top]}
    _json(folder / "hard.json", hard)
    planted = {
        "full": 0.151,
        "popular": 0.052,
        "bigram": 0.094,
        "zero_shot": 0.071,
        "untrained": 0.044,
        "random": 0.058,
        "teacher_random": 0.118,
        "teacher_uniform": 0.124,
        "start_soft": 0.083,
        "start_hard": 0.061,
        "soft": 0.131,
        "hard": 0.092,
    }
    trained = {"full", "random", "teacher_random", "teacher_uniform", "start_soft", "start_hard", "soft", "hard"}
    valid = {
        name: {
            metric: {"mean": mean * factor, "std": 0.004 if name in trained else 0.0, "n": 3 if name in trained else 1}
            for metric, factor in (("recall@10", 1.0), ("ndcg@10", 0.55))
        }
        for name, mean in planted.items()
    }
    _json(
        folder / "report.json",
        {
            "schema": 1,
            "run_id": folder.name,
            "spec_hash": "0" * 16,
            "method": "foster",
            "data": {"users": 3000, "items": len(items), "interactions": 69_066, "dropped": {}},
            "budget": {"sequences": count, "length": length},
            "stored_bytes": {"soft": 81_920, "hard": 1_600, "log": 101_240},
            "valid": valid,
            "seconds": {"data": 1.0, "experts": 41.0, "distil": 52.0, "students": 14.0, "map": 6.0},
            "peak_memory_mb": 812.0,
            "device": "cpu",
            "seed": 0,
            "version": "0.1.0",
        },
    )
