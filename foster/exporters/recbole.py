"""RecBole's atomic files: recbole/foster/foster.inter and foster.item, tab-separated with a typed header.

RecBole reads a field that begins with a double quote as quoted; other readers of the format do not. So white space in a
text is folded, and a double quote at its start becomes a typographic one. The exact texts are in the Parquet files.
"""

from __future__ import annotations

import pandas as pd

from foster.exporters.finished import FinishedRun
from foster.exporters.tables import hard_events

NAME = "foster"  # the folder and its files bear one name, as RecBole wants it


def recbole(run: FinishedRun) -> dict[str, bytes]:
    """Each synthetic sequence is a user, its positions are the timestamps."""
    events = hard_events(run)
    log = {
        "user_id:token": events["sequence"],
        "item_id:token": events["item_id"],
        "timestamp:float": events["position"],
    }
    files = {f"recbole/{NAME}/{NAME}.inter": _atomic(pd.DataFrame(log))}
    if run.items is not None:
        catalogue = {"item_id:token": run.items["item_id"], "title:token_seq": run.items["title"]}
        if "category" in run.items.columns:
            catalogue["category:token"] = run.items["category"]
        files[f"recbole/{NAME}/{NAME}.item"] = _atomic(pd.DataFrame(catalogue))
    return files


def _atomic(table: pd.DataFrame) -> bytes:
    lines = ["\t".join(table.columns)]
    lines += ["\t".join(map(_field, row)) for row in table.itertuples(index=False, name=None)]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _field(value: object) -> str:
    """
    >>> _field('"Red\\tand  blue"'), _field(3)
    ('“Red and blue"', '3')
    """
    text = "" if isinstance(value, float) and value != value else " ".join(str(value).split())
    return f"“{text[1:]}" if text.startswith('"') else text
