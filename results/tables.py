"""Draws the tables of README.md and of results/README.md from the JSON files beside this one.

    python results/tables.py           writes both
    python results/tables.py --check   says what is out of date instead

Every file is what a command of foster printed (`made.json` says which, and by which commit), but for folders of a
machine, which are shortened. Nothing is typed by hand: a row without a file is not in the table.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from foster.bench.ablations import ABOUT
from foster.bench.transfer import KINDS

HERE = Path(__file__).parent
PAGES = (HERE.parent / "README.md", HERE / "README.md")
LOGS = {"sample": "sample", "ml-100k": "ML-100K", "amazon_scientific": "Scientific", "amazon_games": "Games",
        "amazon_beauty": "Beauty", "amazon_phones": "Phones", "yelp": "Yelp"}  # fmt: skip
BARS = {"sample": (100, 80), "ml-100k": (100, 70), "yelp": (98, 50)}  # others: 95 and 50
COLUMNS = {
    "ensemble": "teachers together", "popular": "most popular", "bigram": "last-item bigram",
    "zero_shot": "zero-shot text", "untrained": "untrained", "random": "random real",
    "teacher_random": "real, teacher labels", "teacher_uniform": "uniform items, teacher labels",
    "start_soft": "start, soft", "soft": "**foster, soft**", "start_hard": "start, hard", "hard": "**foster, hard**",
}  # fmt: skip
SIMPLE = ("popular", "bigram", "zero_shot", "untrained", "random")  # need neither distillation nor teachers
METRIC = "recall@10"
Found = dict[str, Any]


def read(name: str) -> Any:
    """What a file holds, of a benchmark what it found; None where it is not there."""
    file = HERE / f"{name}.json"
    if not file.is_file():
        return None
    value = json.loads(file.read_text(encoding="utf-8"))
    return value["found"] if "benchmark" in value else value


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """The first `left` columns to the left, the others to the right."""
    rule = "|" + "---|" * left + "---:|" * (len(head) - left)
    return "\n".join(["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)])


def headline() -> dict[str, Found]:
    """Log → what `foster bench headline` found of it."""
    found = (read(f"headline-{name}") for name in LOGS)
    return {name: each["sets"][0] for name, each in zip(LOGS, found, strict=True) if each and each["complete"]}


def shares() -> str:
    """Per cent of the full-data model, of one run."""
    rows = []
    for name, short in LOGS.items():
        report = read(f"run-{name}")
        if not report:
            continue
        budget, of = report["budget"], {row: each[METRIC] for row, each in report["test"].items()}
        full = of["full"]["mean"]
        cells = [f"{short}, {budget['sequences']} × {budget['length']}", f"{full:.3f}"]
        for row in COLUMNS:
            if row not in of:
                cells.append("–")
                continue
            mean, spread, n = (of[row][each] for each in ("mean", "std", "n"))
            share = f"{100 * mean / full:.0f}" + (f" ± {100 * spread / full:.0f}" if n > 1 and spread else "")
            cells.append(f"**{share}**" if row in ("soft", "hard") else share)
        rows.append(cells)
    return markdown(("log, M × L", "everything", *COLUMNS.values()), rows)


def forms() -> str:
    """Teachers, form, bytes, memory and seconds of a run; the memory of one that was resumed is not known."""
    rows, resumed = [], {each["file"] for each in read("made") if "resumed" in each["beside"]}
    for name, short in LOGS.items():
        report = read(f"run-{name}")
        if not report:
            continue
        form, stored = report.get("form"), report["stored_bytes"]  # an earlier version did not tell it
        told = f"{form['readings']}, {form['rank']}, {form['session'] or '–'}" if form else "–"
        bytes_of = [f"{stored[kind]:,}" for kind in ("soft", "hard", "log")]
        memory = "–" if f"run-{name}.json" in resumed else f"{report['peak_memory_mb'] / 1000:.1f}"
        spent = f"{sum(report['seconds'].values()):,.0f}"
        rows.append([short, str(report["experts"]), told, *bytes_of, memory, spent])
    return markdown(("log", "teachers", "readings, rank, session", "soft", "hard", "log", "GB", "seconds"), rows)


def bars() -> str:
    """What was aimed at, and whether the mean is there."""
    rows = []
    for name, short in LOGS.items():
        report = read(f"run-{name}")
        if not report:
            continue
        test = report["test"]
        share = {form: test[form][METRIC]["mean"] / test["full"][METRIC]["mean"] for form in ("soft", "hard")}
        aims = dict(zip(("soft", "hard"), BARS.get(name, (95, 50)), strict=True))
        cells = [
            f"{100 * share[form]:.1f} of {aim}: {'reached' if 100 * share[form] >= aim else '**not reached**'}"
            for form, aim in aims.items()
        ]
        simple = {row: test[row][METRIC]["mean"] / test["full"][METRIC]["mean"] for row in SIMPLE}
        best = max(simple, key=lambda row: simple[row])
        rows.append([short, *cells, f"{100 * simple[best]:.1f} {COLUMNS[best]}"])
    return markdown(("log", "soft, per cent", "hard, per cent", "best simple row, per cent"), rows)


def certainty() -> str:
    """Intervals of the shares, and how surely soft is above a row."""
    parts = []
    for name, found in headline().items():
        rows = []
        for row, each in found["rows"].items():
            value, test = each[METRIC], found["superiority"][METRIC].get(row)
            bounds = "–" if value["interval"] is None else f"{value['interval'][0]:.1%} to {value['interval'][1]:.1%}"
            apart = ("", "") if test is None else (f"{100 * test['difference']:+.2f}", f"{test['p_holm']:.3f}")
            rows.append([COLUMNS.get(row, "everything").strip("*"), f"{value['mean']:.4f}", f"{value['of_full']:.1%}",
                         bounds, str(each["n"]), *apart])  # fmt: skip
        head = (LOGS[name], "Recall@10", "of everything", "95 %", "n", "soft above it by, points", "p")
        parts.append(markdown(head, rows))
    return "\n\n".join(parts)


def drawn(name: str, table: Callable[[Found], str]) -> Callable[[], str]:
    """A table of what one file holds, where it is there and complete."""

    def made_of_it() -> str:
        found = read(name)
        return table(found) if found and found.get("complete", True) else "Not measured by the present version."

    return made_of_it


def cost(found: Found) -> str:
    rows = []
    for each in found["forms"]:
        name = each["form"] if each["updates"] is None else f"unrolled, W = {each['updates']}"
        first = next(row for row in found["forms"] if row["tuned_layers"] == each["tuned_layers"])
        rows.append([
            name + (", extrapolated" if each["extrapolated"] else ""),
            f"{each['tuned_layers']} layer learns" if each["tuned_layers"] else "frozen",
            f"{each['peak_mb']:,.0f}", f"{each['peak_mb'] / first['peak_mb']:.1f}",
            f"{1000 * each['step_s']:,.0f}", f"{each['step_s'] / first['step_s']:.1f}",
        ])  # fmt: skip
    return markdown(("step", "encoder", "peak MB", "× first order", "ms", "× first order"), rows, left=2)


def catalogue(found: Found) -> str:
    rows = [
        (f"{each['items']:,}", f"{each['peak_mb']:,.0f}", f"{1000 * each['step_s']:,.0f}", f"{each['basis_mb']:,.1f}",
         f"{each['basis_s']:,.1f}")
        for each in found["catalogue"]
    ]  # fmt: skip
    return markdown(("items", "peak MB of a step", "ms a step", "label basis MB", "made in s"), rows, left=0)


def sweep(found: Found) -> str:
    parts = []
    for each in found["sets"]:
        full = each["points"][0]["rows"]["full"]["mean"]
        rows = []
        for point in each["points"]:
            of = point["rows"]
            told = [f"{100 * of[row]['mean'] / full:.1f} ± {100 * of[row]['std'] / full:.1f}" for row in
                    ("soft", "start_soft", "teacher_uniform", "hard", "random")]  # fmt: skip
            stored = point["stored_bytes"]
            rows.append([f"{point['value']:g}", *told, f"{stored['soft']:,}", f"{stored['hard']:,}",
                         f"{point['regulariser']:.3f}"])  # fmt: skip
        what = {"sequences": "M", "regularisation": "γ"}[found["over"]]
        head = (f"{LOGS.get(each['data'], each['data'])}: {what}", "soft", "start", "uniform items, teacher labels",
                "hard", "random real", "bytes, soft", "bytes, hard", "regulariser, nats")  # fmt: skip
        parts.append(markdown(head, rows))
    return "\n\n".join(parts)


def ablations(found: Found) -> str:
    rows = []
    for name, row in found["rows"].items():
        if "same_as" in row:
            rows.append([ABOUT[name], f"as {row['same_as']}: {row['why']}", "", ""])
            continue
        score = row["valid"][METRIC]
        rows.append([
            ABOUT[name], f"{score['mean']:.4f} ± {score['std']:.4f}",
            f"{row['seconds']:,.0f}" if "seconds" in row else "", f"{row['peak_mb']:,.0f}" if "peak_mb" in row else "",
        ])  # fmt: skip
    return markdown(("", "validation Recall@10", "seconds", "peak MB"), rows)


def transfer(found: Found) -> str:
    rows = []
    for name, kind in found["kinds"].items():
        full = kind["full"][METRIC]["mean"]
        rows.append([KINDS[name].about, f"{full:.3f}", *(
            f"{100 * kind[row][METRIC]['mean'] / full:.0f} ± {100 * kind[row][METRIC]['std'] / full:.0f}"
            for row in ("soft", "hard", "teacher_uniform", "random", "untrained")
        )])  # fmt: skip
    head = ("student", "everything", "foster, soft", "foster, hard", "uniform items, teacher labels", "random real",
            "untrained")  # fmt: skip
    return markdown(head, rows)


def made() -> str:
    """Which command printed what, by which commit."""
    rows = [[f"`{each['file']}`", f"`{each['command']}`", each["commit"], each["beside"]] for each in read("made")]
    return markdown(("file", "command", "commit", "beside"), rows, left=4)


TABLES: dict[str, Callable[[], str]] = {
    "shares": shares, "forms": forms, "bars": bars, "certainty": certainty, "made": made,
    "cost": drawn("cost", cost), "catalogue": drawn("cost", catalogue),
    "budget": drawn("budget", sweep), "regularisation": drawn("regularisation", sweep),
    "ablations": drawn("ablations-sample", ablations), "transfer": drawn("transfer-sample", transfer),
}  # fmt: skip
PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """A page with every table between its marks drawn anew."""
    return PLACE.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", page)


def main(arguments: Sequence[str]) -> int:
    stale = []
    for page in PAGES:
        old = page.read_text(encoding="utf-8")
        if (new := filled(old)) == old:
            continue
        stale.append(str(page.relative_to(HERE.parent)))
        if "--check" not in arguments:
            page.write_text(new, encoding="utf-8")
    print(f"{'out of date' if '--check' in arguments else 'written'}: {', '.join(stale) or 'nothing'}")
    return int("--check" in arguments and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
