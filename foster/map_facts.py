"""Whether the item map's pictures agree: how many neighbours of the log the synthetic sequences keep.

Counted by `foster.item_map` on what items are placed by, before a layout loses some of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

NEAR, JUDGED = 10, 5_000  # neighbours that a view should keep, of so many items, the most popular


def kept(points: pd.DataFrame) -> tuple[float, float, float] | None:
    """Of an item's NEAR neighbours in the log, how many the synthetic sequences, the texts and chance keep, as means.

    points: a run's map, kept_synthetic and kept_text shares [rows], NaN where not judged. None where it does not tell.
    """
    columns = [f"kept_{view}" for view in ("synthetic", "text")]
    if not {*columns} <= {*points.columns}:
        return None
    told = points[columns].dropna()
    if not len(told):
        return None
    by_sequences, by_texts = told.mean()
    return NEAR * float(by_sequences), NEAR * float(by_texts), NEAR * NEAR / (min(len(points), JUDGED) - 1)


def agreement(points: pd.DataFrame) -> str:
    """`kept` in sentences, '' where the map does not tell."""
    found = kept(points)
    if found is None:
        return ""
    by_sequences, by_texts, by_chance = found
    counted = f"of the {JUDGED:,} most popular items, " if len(points) > JUDGED else ""
    return (
        f"Of an item's {NEAR} nearest neighbours in the log, {by_sequences:.1f} on average are among its {NEAR} "
        f"nearest in the synthetic sequences of the result, too; {by_texts:.1f} are among its {NEAR} nearest by text, "
        f"{by_chance:.1f} would be by chance. Counted {counted}before they were laid out flat."
    )
