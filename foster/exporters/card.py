"""The dataset card: README.md with the front matter that `datasets` reads, and plain sentences for people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from foster import words
from foster.exporters import telling
from foster.exporters.finished import FinishedRun
from foster.markup import plain
from foster.verdict import NAMES, of_full, sentence

_TABLES = {
    "sequences": "the hard form: sequence, position (both from 0, in the app from 1), item_id, title, one row an event",
    "recommendations": "the soft form, readable: what each position reads and recommends, with weights",
    "items": "the catalogue: item (row), item_id, title, category, popularity (training events)",
    "nearness": "overlap with the nearest real user, repetition and diversity of each hard sequence",
}
_FILES = {
    "recbole/": "RecBole's atomic files; `data_path: recbole`, `dataset: foster`",
    "soft/": "the soft form as it was learned, and how to read it back",
    "report.html": "the same for people: charts, titles, map; opens without a server",
    "run.json": "settings and every number",
    "SHA256SUMS": "checksums; `sha256sum -c SHA256SUMS`",
}


def card(run: FinishedRun, files: Mapping[str, bytes]) -> bytes:
    """files: what lies beside the card."""
    tables = [name for name in _TABLES if f"{name}.parquet" in files]
    parts = [
        _front_matter(run, tables),
        f"# {markdown(run.title)}",
        sentence(run.report),
        "## Source and licence\n\n"
        f"Condensed from: {markdown(run.source)}. {_counts(run)}\n\n"
        "The licence of these files is left to the owner of that data: titles and item ids are theirs, and foster, "
        "which made the files, claims nothing. Ask them before you pass the files on.",
        "## What is in here\n\n" + "\n".join(_contents(tables, files)),
        _opening(tables),
        "## How it was made\n\n" + "\n".join(f"{n}. {each}" for n, each in enumerate(telling.method(run), start=1)),
        "## Settings\n\n" + _table(("", ""), telling.settings(run)),
        _results(run),
        _stored(run),
        _nearest(run),
        "## Known limits\n\n" + "\n".join(f"- {markdown(each)}" for each in telling.limits(run)),
    ]
    return ("\n\n".join(part for part in parts if part) + "\n").encode("utf-8", "replace")


def markdown(text: str) -> str:
    """Any text as text: nothing in it is read as markup, by Markdown or by HTML.

    >>> markdown("[a](b) <i>*c*</i>")
    '\\\\[a\\\\](b) &lt;i&gt;\\\\*c\\\\*&lt;/i&gt;'
    """
    line = plain(text, 400).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|~$!])", r"\\\1", line)


def _front_matter(run: FinishedRun, tables: list[str]) -> str:
    """YAML in which every text is a JSON string: YAML reads those, and nothing in them is special."""
    lines = [
        "---",
        f"pretty_name: {_yaml(run.title)}",
        "license: other",
        'license_name: "left to the owner of the data"',
    ]
    lines += ["tags:", *(f"- {tag}" for tag in ("dataset-distillation", "sequential-recommendation", "synthetic"))]
    lines += ["configs:"]
    for name in tables:
        lines += [f"- config_name: {name}", f"  data_files: {name}.parquet"]
        lines += ["  default: true"] if name == "sequences" else []
    return "\n".join([*lines, "---"])


def _yaml(text: str) -> str:
    return json.dumps(plain(text, 200), ensure_ascii=False)


def _counts(run: FinishedRun) -> str:
    numbers = [
        f"{words.count(run.data[name])} {name}" for name in ("users", "items", "interactions") if name in run.data
    ]
    return f"Its log has {', '.join(numbers)}." if numbers else ""


def _contents(tables: list[str], files: Mapping[str, bytes]) -> list[str]:
    found = [f"- `{name}.parquet`, `{name}.csv`: {_TABLES[name]}." for name in tables]
    there = {*files, "SHA256SUMS"}
    found += [f"- `{name}`: {what}." for name, what in _FILES.items() if any(file.startswith(name) for file in there)]
    guard = (
        "Parquet keeps every text as it is; in CSV a text that a spreadsheet would compute has an apostrophe before it."
    )
    return [*found, "", guard, "Paths of the machine and ids of real users are left out."]


def _opening(tables: list[str]) -> str:
    other = next((name for name in tables if name != "sequences"), "sequences")
    return f"""## How to open it

```python
import pandas as pd
events = pd.read_parquet("sequences.parquet")

from datasets import load_dataset
events = load_dataset(".", "sequences")["train"]      # or "{other}"
```

Each sequence is to be learned as a whole: leave none of it out for validation or test, which belong to real users."""


def _results(run: FinishedRun) -> str:
    parts = []
    for key, name in (("test", "test"), ("valid", "validation")):
        rows = run.report.get(key) or {}
        metrics = [
            m for m in ("recall@10", "recall@20", "ndcg@10", "ndcg@20", "mrr") if any(m in row for row in rows.values())
        ]
        lines = [
            (NAMES.get(row, row), *(_measure(rows[row].get(metric)) for metric in metrics), _share(rows, row))
            for row in rows
        ]
        if lines:
            heads = [
                metric.upper() if metric == "mrr" else metric.replace("recall", "Recall").replace("ndcg", "NDCG")
                for metric in metrics
            ]
            parts.append(f"### On {name} items\n\n" + _table(("trained on", *heads, "of everything"), lines))
    if not parts:
        return ""
    return "## Results\n\nMean ± standard deviation (n) over fresh students.\n\n" + "\n\n".join(parts)


def _measure(summary: Mapping[str, Any] | None) -> str:
    if not summary or summary.get("mean") is None:
        return "–"
    spread = f" ± {summary.get('std') or 0:.4f}" if summary.get("n", 1) > 1 else ""
    return f"{summary['mean']:.4f}{spread} ({summary.get('n', 1)})"


def _share(rows: Mapping[str, Any], name: str) -> str:
    share = of_full(rows, name)
    return "–" if share is None else words.share(share)


def _stored(run: FinishedRun) -> str:
    stored = run.report.get("stored_bytes") or {}
    return (
        "## Stored bytes\n\n" + _table(("form", "bytes"), [(n, words.count(b)) for n, b in stored.items()])
        if stored
        else ""
    )


def _nearest(run: FinishedRun) -> str:
    """How near the sequences are to real ones: memorisation shows here."""
    if run.nearness is None or not len(run.nearness):
        return ""
    overlap = run.nearness["overlap"]
    mean, median, top = (words.share(float(each)) for each in (overlap.mean(), overlap.median(), overlap.max()))
    return (
        "## Nearest real users\n\nOverlap of items (Jaccard) between each hard sequence and the real user nearest to "
        f"it: mean {mean}, median {median}, largest {top}; 100\u00a0% would be a copy. Each sequence's is in "
        "`nearness.parquet`."
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *(tuple(markdown(cell) for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
