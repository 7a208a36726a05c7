"""What card and report say in words: the method, the settings and the limits of one run, computed from its numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from foster import words
from foster.exporters.finished import FinishedRun
from foster.exporters.soft import header
from foster.verdict import METRIC, NAMES, of_full, split_of

_FOSTER = (
    "A recommender, the teacher, was trained on the whole log.",
    "A few synthetic sequences were laid out as the teacher would continue them. Each position of a sequence holds "
    "several items; a reading takes one of each position, and after every position of every reading stands a "
    "distribution over the whole catalogue, which says what to recommend next. Where the log's histories are shorter "
    "than a sequence, it is read as several of them, each from its beginning.",
    "In every step a student on its way through the sequences was taken as the anchor; from there one copy followed "
    "the sequences alone and another the real log as well, over a random part of the catalogue where it is large, and "
    "the distributions were moved by the difference of what the two predict.",
    "One more term, weighed by γ, asks items of similar meaning to appear together.",
    "The plain lists are, of several candidates, those from which fresh students learn most, judged on items of the "
    "log that they have not seen: what the distributions say comes next, or how the teachers would go on from first "
    "items, with items preferred that the sequences hold less often than the log would have it.",
)
_TOGETHER = "Where the teacher's expectations are asked for, those of {} such models are averaged."
_JUDGED = (
    "What is stored was judged by fresh students that saw nothing of the log: trained on the stored sequences and the "
    "public texts alone, they rank the whole catalogue for the next item of every user."
)
MUCH = 0.5  # share of items in common with one real user from which a sequence is called a near copy


def method(run: FinishedRun) -> tuple[str, ...]:
    """How the sequences were made and judged, a sentence each."""
    if run.spec.method == "foster":
        teachers = run.report.get("experts") or 1
        return (_FOSTER[0], *([_TOGETHER.format(teachers)] if teachers > 1 else []), *_FOSTER[1:], _JUDGED)
    return (
        f"The sequences were made by the method “{run.spec.method}”, as foster {words.version(run.report)} has it.",
        _JUDGED,
    )


def settings(run: FinishedRun) -> list[tuple[str, str]]:
    """(name, value) of everything that the result depends on."""
    spec, report = run.spec, run.report
    taken = run.distil[-1].get("steps") if run.distil else None
    steps = (
        words.count(spec.steps) if spec.steps is not None else f"{words.count(taken)} (by rule)" if taken else "by rule"
    )
    seconds = sum((report.get("seconds") or {}).values())
    found = [
        ("Data", run.source),
        (
            "Users, items, events",
            " · ".join(words.count(run.data.get(k, 0)) for k in ("users", "items", "interactions")),
        ),
        ("Left out", _dropped(run.data) or "nothing"),
        ("Split", "leave-one-out: the last item of a user is the test item, the one before it the validation item"),
        ("Ranking", f"whole catalogue, ties count against the model, {_masking(run.data)}"),
        ("Method", spec.method),
        ("Budget", f"{words.plural(spec.sequences, 'sequence')} × {words.plural(spec.length, 'position')}"),
        ("Regularisation γ", f"{spec.regularisation:g}"),
        ("Distillation steps", steps),
        (
            "Text encoder",
            run.encoder + (f", last {words.plural(n, 'layer')} tuned" if (n := spec.tuned_layers) else ""),
        ),
        ("Student's recipe", _told(soft_recipe(run))),
        ("On plain sequences", _told(run.report.get("hard_recipe"))),
        ("Fresh students a row", words.count(spec.students)),
        ("Seed", str(spec.seed)),
        ("Computed on", f"{words.device(report.get('device'))}" + (f", {words.duration(seconds)}" if seconds else "")),
        ("Version", f"foster {words.version(run.report)}, run {run.id}, specification {report.get('spec_hash', '')}"),
    ]
    return [(name, value) for name, value in found if value]


def _told(recipe: object) -> str:
    """Its settings, popularity as what a student does with it; "" where none is known."""
    if not isinstance(recipe, Mapping):
        return ""
    said = [f"{name.replace('_', ' ')} {value}" for name, value in recipe.items() if value is not None]
    if recipe.get("popularity") is not None:
        said.append("popularity × log(1 + how often an item stands in them) added to what a student says")
    if (share := recipe.get("event_dropout")) is not None:
        said.append(f"in every step other events, a share of {share} but never a sequence's first, read as blank")
    return ", ".join(said)


def soft_recipe(run: FinishedRun) -> Mapping[str, Any]:
    """The recipe stored with the soft file, {} where there is none."""
    try:
        found = json.loads(header(run.artefact or b"").get("__metadata__", {}).get("foster", "{}")).get("recipe", {})
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def limits(run: FinishedRun) -> list[str]:
    """What these numbers do not say, a sentence each."""
    split, rows = split_of(run.report)
    said = [
        f"This is one distillation, with seed {run.spec.seed}; ± is the standard deviation over fresh students, not "
        "over distillations or users."
    ]
    if run.spec.data == "sample":
        said.append("The readers of the sample are simulated; nothing in it is evidence about real readers.")
    if split == "validation":
        said.append("The numbers are of validation items, on which choices were made; test items were not asked for.")
    means = {name: row[METRIC]["mean"] for name, row in rows.items() if METRIC in row}
    if (share := of_full(rows, "soft")) is not None and share < 1:
        said.append(f"Students of the soft form reach {words.share(share)} of the full-data model's Recall@10.")
    if means.get("bigram", 0) > means.get("soft", 1):
        said.append(
            f"The last-item bigram, which needs the whole log, has a higher Recall@10 ({words.score(means['bigram'])}) "
            f"than students of the soft form ({words.score(means['soft'])})."
        )
    rivals = [name for name in ("random", "start_hard") if means.get(name, 0) >= means.get("hard", 1)]
    better = [NAMES[name].lower() for name in rivals]
    if better:
        said.append(f"The hard form is no better than: {', '.join(better)}.")
    if rows.get("full", {}).get(METRIC, {}).get("n") == 1:
        said.append("The model trained on everything was trained with one seed.")
    stored = run.report.get("stored_bytes") or {}
    if stored.get("soft", 0) > stored.get("log", float("inf")):
        soft, log = words.size(stored["soft"]), words.size(stored["log"])
        said.append(f"The soft form ({soft}) is larger than the training log ({log}).")
    said.append(f"Other text encoders than {run.encoder} and other students were not measured.")
    if share := run.data.get("repeat_share"):
        said.append(f"{words.share(share)} of the test items stand in their user's history already.")
    said.append(_nearness(run))
    return said


def _nearness(run: FinishedRun) -> str:
    if run.nearness is None or not len(run.nearness):
        return "How near the sequences are to real users was not measured, and nothing is promised about privacy."
    copies = int((run.nearness["overlap"] >= MUCH).sum())
    top = float(run.nearness["overlap"].max())
    return (
        f"Of {words.plural(len(run.nearness), 'hard sequence')}, {copies} have half or more of their items "
        f"in common with one real user (the nearest {words.share(top)}); foster gives no guarantee of privacy."
    )


def _masking(data: Mapping[str, Any]) -> str:
    masked = data.get("history_masked")
    if masked is None:
        return "history as the log has it"
    return "items of the history left out" if masked else "items of the history may be recommended again"


def _dropped(data: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{words.count(number)} {reason}" for reason, number in (data.get("dropped") or {}).items() if number
    )
