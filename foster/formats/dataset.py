"""What every format becomes, and the one place where events are cleaned and counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from foster.catalog import Catalog
from foster.errors import UserError
from foster.interactions import MIN_EVENTS, Interactions


@dataclass(frozen=True, eq=False)
class Dataset:
    """A catalogue and the interactions with its items; every user has at least 3 events.

    dropped: reason → count of what was left out or mended on reading, nonzero counts only. embeddings: precomputed
    item embeddings that ship with the data, if any.

    Raises ValueError if an event's item is not in the catalogue or a user has fewer than 3 events.
    """

    name: str
    catalog: Catalog
    interactions: Interactions
    dropped: dict[str, int]
    embeddings: Path | None = None

    def __post_init__(self) -> None:
        if self.interactions.items.max() >= len(self.catalog):
            raise ValueError("an event's item is not in the catalogue")
        if self.interactions.lengths.min() < MIN_EVENTS:
            raise ValueError(f"every user needs at least {MIN_EVENTS} events")


def assemble(name: str, catalog: Catalog, events: pd.DataFrame, mended: Counter[str]) -> Dataset:
    """Clean a raw event list and join it to its catalogue.

    events: user_id and item_id (str, missing values allowed) and timestamp (float64; missing where not finite), in
    file order. Left out and counted, in this order: rows with a missing id, rows without a time, rows whose item is
    not in the catalogue, repetitions of a (user, item, timestamp) (a true repeat has a time of its own), and users
    with fewer than 3 events left. mended: the counts of what the format itself left out or mended.
    Raises UserError if no user is left.
    """
    dropped = Counter(mended)

    def keep(events: pd.DataFrame, rows: pd.Series, reason: str) -> pd.DataFrame:
        dropped[reason] += int((~rows).sum())
        return events[rows]

    users_before = events["user_id"].nunique()

    events = keep(events, events["user_id"].notna() & events["item_id"].notna(), "events with a missing id")
    events = keep(events, np.isfinite(events["timestamp"]), "events without a time")
    example = events["item_id"].iloc[0] if len(events) else None
    events = events.assign(item=pd.Index(catalog.ids).get_indexer(pd.Index(events["item_id"])))
    events = keep(events, events["item"] >= 0, "events of unknown items")
    if events.empty and example is not None:
        raise UserError(
            f"{name}: no event's item is in the catalogue; item_id is like {example[:40]!r} in the interactions and "
            f"like {catalog.ids[0][:40]!r} in the items; give both files the same ids"
        )
    events = keep(events, ~events.duplicated(["user_id", "item", "timestamp"]), "exact duplicate rows")
    events = events[events.groupby("user_id")["item"].transform("size") >= MIN_EVENTS]
    dropped[f"users with fewer than {MIN_EVENTS} events"] = users_before - events["user_id"].nunique()
    counts = {reason: count for reason, count in dropped.items() if count}
    if events.empty:
        left_out = ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "nothing"
        raise UserError(
            f"{name}: no user has {MIN_EVENTS} events or more (left out: {left_out}); give longer histories"
        )
    interactions = Interactions.from_events(
        events["user_id"], events["item"].to_numpy(), events["timestamp"].to_numpy()
    )
    return Dataset(name, catalog, interactions, counts)
