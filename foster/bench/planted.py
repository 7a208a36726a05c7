"""Planted data: a log and a finished run of any size, with groups of items, and a tiny world."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from foster.runs import Run, RunState, RunStore, RunWriter
from foster.spec import RunSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from foster.interactions import Interactions

GROUPS, EVENTS, TEXT_WIDTH, SEQUENCES, LENGTH = 50, 10, 384, 50, 20


def planted_log(n_items: int) -> Interactions:
    """As many users as items, EVENTS each, nine of ten from one of GROUPS groups, few items taken often."""
    import numpy as np

    from foster.interactions import Interactions

    draw = np.random.default_rng(n_items)
    own = draw.integers(0, GROUPS, (n_items, 1))
    group = np.where(draw.random((n_items, EVENTS)) < 0.9, own, draw.integers(0, GROUPS, (n_items, EVENTS)))
    within = (n_items // GROUPS * draw.random((n_items, EVENTS)) ** 2).astype(np.int64)
    items = (within * GROUPS + group) % n_items
    return Interactions(items.ravel(), EVENTS * np.arange(n_items + 1), tuple(map(str, range(n_items))))


def planted_features(n_items: int) -> NDArray[np.float32]:
    """Unit rows [V, TEXT_WIDTH] about the directions of the groups."""
    import numpy as np

    draw = np.random.default_rng(n_items)
    centres = draw.normal(size=(GROUPS, TEXT_WIDTH))
    rows = centres[np.arange(n_items) % GROUPS] + draw.normal(0, 0.8, (n_items, TEXT_WIDTH))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def planted_totals(n_items: int) -> NDArray[np.float32]:
    """Label mass [SEQUENCES, V] that sums to the positions, each sequence mostly of one group."""
    import numpy as np

    draw = np.random.default_rng(n_items)
    own = np.arange(n_items) % GROUPS == np.arange(SEQUENCES)[:, None] % GROUPS
    often = draw.random(n_items) ** 8 + 1e-6
    mass = often * np.where(own, 1.0, 0.02) * draw.uniform(0.5, 1.5, (SEQUENCES, n_items))
    return (LENGTH * mass / mass.sum(1, keepdims=True)).astype(np.float32)


def planted_map(n_items: int) -> pd.DataFrame:
    """The columns of a run's map.parquet, placed in groups without a layout."""
    import numpy as np
    import pandas as pd

    draw = np.random.default_rng(n_items)
    angle = 2 * np.pi * (np.arange(n_items) % GROUPS) / GROUPS
    columns: dict[str, object] = {"item": np.arange(n_items, dtype=np.int32)}
    for view, spread in (("real", 0.06), ("synthetic", 0.04), ("text", 0.08)):
        radius = 0.6 + 0.3 * (np.arange(n_items) % 3 - 1)
        for axis, centre in (("x", np.cos(angle)), ("y", np.sin(angle))):
            columns[f"{axis}_{view}"] = (radius * centre + draw.normal(0, spread, n_items)).astype(np.float32)
    kept = {f"kept_{view}": np.full(n_items, share, np.float32) for view, share in (("synthetic", 0.4), ("text", 0.3))}
    return pd.DataFrame({**columns, **kept, "mass": planted_totals(n_items).sum(0)})


def planted_run(store: RunStore, n_items: int) -> Run:
    """A finished run with what the Map page reads."""
    import numpy as np
    import pandas as pd

    run = store.create(RunSpec(sequences=SEQUENCES, length=LENGTH))
    draw = np.random.default_rng(n_items)
    words = np.array(
        ["a", "the", "night", "river", "house", "last", "book", "north", "stone", "winter", "sea", "light"]
    )
    titles = [f"{' '.join(words[row]).title()} {n}" for n, row in enumerate(draw.integers(0, len(words), (n_items, 4)))]
    items = pd.DataFrame(
        {
            "item": np.arange(n_items, dtype=np.int32),
            "item_id": [f"i{n:06d}" for n in range(n_items)],
            "title": titles,
            "category": [f"group {n % GROUPS}" for n in range(n_items)],
            "popularity": draw.zipf(1.6, n_items).clip(max=50_000).astype(np.int32),
        }
    )
    with RunWriter(run.path) as writer:
        writer.write_table("items.parquet", items)
        writer.write_table("map.parquet", planted_map(n_items))
        writer.finish(RunState.DONE, fraction=1.0)
    return run


def tiny_folder(folder: Path, n_items: int = 24, n_users: int = 40) -> Path:
    """A data folder where every user walks round one cycle of items: a world for seconds of work."""
    folder.mkdir(parents=True)
    titles = "".join(f"i{item},Book {item}\n" for item in range(n_items))
    (folder / "items.csv").write_text(f"item_id,title\n{titles}")
    events = "".join(f"u{user},i{(user + t) % n_items},{t}\n" for user in range(n_users) for t in range(9))
    (folder / "interactions.csv").write_text(f"user_id,item_id,timestamp\n{events}")
    return folder
