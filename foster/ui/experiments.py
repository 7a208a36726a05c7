"""What each lesson computes: a chart, figures and a sentence, and the answer to its question from the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foster.ui import lesson_charts, toys, words
from foster.ui.charts import Chart
from foster.ui.lesson_charts import BROKEN, CONTROL, WHOLE
from foster.ui.markup import Markup, tag

INNER, SINCE_RESET = (1, 5, 10, 20), (0, 5, 20, 50)
Figure = tuple[str, str, str]  # label, value, hint


@dataclass(frozen=True)
class Shown:
    """figures: label, value and hint each; say: what they come to; extra: more to look at, below the chart."""

    chart: Chart
    figures: tuple[Figure, ...]
    say: str
    extra: Markup | None = None


@dataclass(frozen=True)
class Answer:
    """right: which of the question's options; why: the numbers that say so."""

    right: int
    why: str


def mean(values: Any) -> str:
    """Mean and spread over students.

    >>> import numpy as np
    >>> mean(np.array([0.25, 0.35])), mean(np.array([0.3]))
    ('0.300 ± 0.071, n = 2', '0.300, n = 1')
    """
    std = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return words.measure({"mean": float(values.mean()), "std": std, "n": len(values)})


def recommending(title: str, broken: str) -> Shown:
    """Lesson 1."""
    from foster.lessons.world import TITLES, odds

    whole, new = toys.learned("nothing")
    worse, worse_new = (whole, new) if broken == "nothing" else toys.learned(broken)
    book = TITLES.index(title)
    chart = lesson_charts.next_books(
        TITLES, odds()[book], whole.odds[-1, book], None if worse is whole else worse.odds[-1, book]
    )
    figures = (
        ("Recall@3", words.score(worse.hits), "new readers, all books"),
        ("Books it never saw", words.share(worse_new.hits), "right of four; 25 % by chance"),
        ("Most popular", words.score(whole.popular), "the same three for everyone"),
        ("The truth itself", words.score(whole.best), "no model can beat this"),
    )
    say = {
        "nothing": f"From {words.count(400)} readers the model learned to have the next book among its first three in "
        f"{words.share(whole.hits)} of cases; the best possible is {words.share(whole.best)}.",
        "order": f"Each reader keeps the same books in a random order. What comes next can no longer be learned: "
        f"Recall@3 falls from {words.score(whole.hits)} to {words.score(worse.hits)}.",
        "texts": f"Every book has another's text. Books of the log are learned by heart all the same "
        f"({words.score(worse.hits)}), but of four new ones the right one is found in {words.share(worse_new.hits)} of "
        f"cases instead of {words.share(new.hits)}: nothing carries over.",
    }[broken]
    return Shown(chart, figures, say)


def answer_recommending() -> Answer:
    whole, worse = toys.learned("nothing")[1].hits, toys.learned("texts")[1].hits
    right = 0 if worse < 0.8 * whole else 2 if worse > 1.2 * whole else 1
    instead = f"{words.share(worse)} of cases instead of {words.share(whole)}"
    return Answer(right, f"Of four new books it picks the right one in {instead}; chance is 25 %.")


def budget(sequences: int, broken: str) -> Shown:
    """Lesson 2."""
    whole = toys.spent(sequences, True)
    rows = [("distilled", whole.distilled, WHOLE), ("random", whole.random, CONTROL)]
    worse = None
    if broken == "labels":
        worse = toys.spent(sequences, False)
        rows.insert(1, ("distilled,<br>labels lost", worse.distilled, BROKEN))
    chart = lesson_charts.students(rows, {"popular": whole.popular, "everything": whole.everything})
    share, here = whole.distilled.mean() / whole.everything, worse or whole
    figures = (
        ("Budget", f"{whole.events}", f"books read, of {words.count(whole.log_events)} in the log"),
        (
            "Distilled" if worse is None else "Distilled, labels lost",
            words.share(here.distilled.mean() / here.everything),
            f"of everything; {mean(here.distilled)}",
        ),
        ("Random", words.share(whole.random.mean() / whole.everything), f"of everything; {mean(whole.random)}"),
    )
    row = words.plural(sequences, "sequence")
    say = f"A student of {row} of 8 books knows {words.share(share)} of what the log teaches"
    if whole.random.mean() < whole.popular:
        say += "; one of as many real readers does worse than recommending the most popular books to everyone"
    say += "."
    if worse is not None:
        say = (
            f"The same sequences as plain lists of books: {words.score(worse.distilled.mean())} instead of "
            f"{words.score(whole.distilled.mean())}. The knowledge is in the labels."
        )
    places = [
        tag(
            "li",
            tag("span", f"reads {read}", class_="read"),
            *(
                (
                    tag("span", taught, class_="title"),
                    tag("span", tag("b", style=f"width:{100 * p:.0f}%"), class_="bar", aria_hidden="true"),
                    tag("span", words.share(p), class_="weight"),
                )
                if worse is None
                else ()
            ),
        )
        for read, taught, p in whole.row
    ]
    cards = (
        "at every book a student is taught what may come next. Each card names the likeliest."
        if worse is None
        else "with the labels lost, the books that are read are all that is left of it."
    )
    head = tag("p", f"The first sequence: {cards}", class_="hint")
    strip = tag("div", tag("ol", *places, class_="strip"), class_="strip-frame", tabindex="0", role="region",
                aria_label="The first sequence")  # fmt: skip
    return Shown(chart, figures, say, tag("div", head, strip))


def answer_budget() -> Answer:
    whole, worse = toys.spent(4, True), toys.spent(4, False)
    kept = float(worse.distilled.mean() / whole.distilled.mean())
    right = 0 if kept > 0.9 else 1 if kept > 0.6 else 2
    return Answer(right, f"With 4 sequences {words.share(kept)} of the soft form's Recall@3 is left: "
                  f"{mean(worse.distilled)} instead of {mean(whole.distilled)}.")  # fmt: skip


def subsets(size: int, broken: str) -> Shown:
    """Lesson 3."""
    whole = toys.drawn(size, True, True)
    worse = {"nothing": whole, "kept": toys.drawn(size, False, True), "correction": toys.drawn(size, True, False)}[
        broken
    ]
    chart = lesson_charts.estimates(whole.exact, whole.estimates, None if broken == "nothing" else worse.estimates)
    figures = (
        ("Bias", f"{worse.bias:+.2f}", f"nats, of a loss of {whole.exact:.2f}"),
        ("Typical error", f"{worse.typical_error:.2f}", "nats, of one subset"),
        ("Best book inside", words.share(worse.top_inside), "of the subsets"),
        ("Books scored", f"{size} of 24", "in a step"),
    )
    say = {
        "nothing": f"{size} of 24 books are scored, three of them always; the estimate is off by "
        f"{abs(whole.bias):.2f} nats on average.",
        "kept": f"Nothing is always inside: the book that the label is about is missing from "
        f"{words.share(1 - worse.top_inside)} of the subsets, and the typical error grows from "
        f"{whole.typical_error:.2f} to {worse.typical_error:.2f} nats.",
        "correction": f"The books that were drawn no longer stand for those that were not: the loss looks "
        f"{abs(worse.bias):.2f} nats smaller than it is.",
    }[broken]
    return Shown(chart, figures, say)


def answer_subsets() -> Answer:
    bias, reference = toys.drawn(8, True, False).bias, toys.drawn(8, True, True).bias
    right = 1 if abs(bias) < 2 * abs(reference) else 0 if bias < 0 else 2
    return Answer(
        right, f"With 8 of 24 books the estimate is off by {bias:+.2f} nats, {reference:+.2f} when corrected."
    )


def first_order(inner: int, broken: str) -> Shown:
    """Lesson 4."""
    at = SINCE_RESET[-1] if broken == "reset" else 0
    memory = {steps: toys.compared(steps, 0, False) for steps in INNER}
    sound = {steps: toys.compared(inner, steps, False).cosine for steps in SINCE_RESET}
    noisy = {steps: toys.compared(inner, steps, True).cosine for steps in SINCE_RESET} if broken == "dropout" else {}
    kept = {steps: (each.first_order_bytes, each.exact_bytes) for steps, each in memory.items()}
    here = toys.compared(inner, at, broken == "dropout")
    first, exact = kept[inner]
    figures = (
        ("Agreement", f"{here.cosine:.2f}", "cosine with the exact gradient"),
        ("‖θ − ω‖", f"{here.distance:.2f}", "how far apart the two models are"),
        ("First-order", words.size(first), "kept for one backward pass"),
        ("Exact", words.size(exact), f"kept for {words.plural(inner, 'inner step')}"),
    )
    say = {
        "nothing": f"No graph runs through training, and the direction is nearly the exact one: cosine "
        f"{here.cosine:.2f} at {words.share(first / exact)} of the memory.",
        "reset": f"θ and ω have gone their own ways for {at} steps. They differ in more than what the real data would "
        f"change now: the cosine falls from {sound[0]:.2f} to {here.cosine:.2f}.",
        "dropout": f"θ and ω are compared under different dropout masks. The noise is larger than the difference: the "
        f"cosine falls from {sound[0]:.2f} to {here.cosine:.2f}.",
    }[broken]
    return Shown(lesson_charts.gradients(kept, inner, sound, noisy, at), figures, say)


def answer_first_order() -> Answer:
    few, many = toys.compared(1, 0, False), toys.compared(20, 0, False)
    grown = many.exact_bytes / few.exact_bytes
    same = many.first_order_bytes / few.first_order_bytes
    right = 0 if grown > 1.5 * same else 1 if grown > 0.67 * same else 2
    return Answer(right, f"From 1 to 20 inner steps the exact gradient's memory grows {grown:.1f} times, the "
                  f"first-order one's {same:.1f} times.")  # fmt: skip


def regularising(weight: float, broken: str) -> Shown:
    """Lesson 5."""
    from foster.lessons.world import TITLES

    whole, off = toys.together(weight), toys.together(0.0)
    here = off if broken == "off" else whole
    panels = [("what texts say", whole.wanted), (f"γ = {weight:g}", whole.found)]
    if broken == "off":
        panels.append(("γ = 0", off.found))
    figures = (
        ("L_reg", f"{here.penalty:.2f}", "nats; 0 would be as texts say"),
        ("With similar books", words.share(here.near), f"of co-occurrence; {words.share(here.by_chance)} by chance"),
        ("Entropy of labels", f"{here.entropy:.2f}", "nats; log 24 = 3.18 is uniform"),
        ("Fresh students", words.score(float(here.students.mean())), f"Recall@3; {mean(here.students)}"),
    )
    change = float(whole.students.mean() - off.students.mean())
    if broken == "off":
        say = (
            f"Without it {words.share(off.near)} of co-occurrence is with a book's three most similar ones, "
            f"{words.share(off.by_chance)} would be chance; γ = {weight:g} makes it {words.share(whole.near)}."
        )
    else:
        moved = f"{change:+.3f}".replace("-", "−")
        say = f"γ = {weight:g} moves the students' Recall@3 by {moved} against γ = 0" + (
            ": asked for too much, the labels forget what readers did."
            if change < -0.03
            else ", no more than students differ among themselves."
        )
    return Shown(lesson_charts.together(TITLES, panels), figures, say)


def answer_regularising() -> Answer:
    off, strong = toys.together(0.0), toys.together(10.0)
    change = float(strong.students.mean() - off.students.mean())
    right = 0 if change > 0.03 else 2 if change < -0.03 else 1
    near = f"{words.share(off.near)} to {words.share(strong.near)}"
    why = f"Recall@3 goes from {mean(off.students)} at γ = 0 to {mean(strong.students)} at γ = 10,"
    return Answer(right, f"{why} while co-occurrence with similar books goes from {near}.")


def judging(number: int, broken: str) -> Shown:
    """Lesson 6."""
    fresh = toys.judged(number, False)
    here = toys.judged(number, True) if broken == "warm" else fresh
    kind = BROKEN if broken == "warm" else WHOLE
    rows = [("soft form", here.soft, kind), ("hard form", here.hard, kind), ("random rows", here.random, CONTROL),
            ("nothing at all", here.nothing, CONTROL)]  # fmt: skip
    figures = (
        ("Soft form", words.size(here.soft_bytes), mean(here.soft)),
        ("Hard form", words.size(here.hard_bytes), mean(here.hard)),
        ("The log", words.size(here.log_bytes), f"compressed; {words.score(here.everything)} for everything"),
    )
    if broken == "warm":
        say = (
            f"Students that start as the full-data model reach {words.score(here.nothing.mean())} before they saw "
            f"a single synthetic book. Such a number says nothing about the set."
        )
    else:
        say = (
            f"Fresh students that saw only the stored file: the soft form is worth "
            f"{words.share(fresh.soft.mean() / fresh.everything)} of everything, the hard form "
            f"{words.share(fresh.hard.mean() / fresh.everything)}, no data at all "
            f"{words.share(fresh.nothing.mean() / fresh.everything)}, as texts alone know something"
            f"{'' if fresh.hard.mean() > fresh.nothing.mean() else ' and so few plain lists unlearn it'}."
        )
    return Shown(lesson_charts.students(rows, {"everything": here.everything}), figures, say)


def answer_judging() -> Answer:
    warm = toys.judged(3, True)
    share = float(warm.nothing.mean() / warm.everything)
    right = 0 if share < 0.25 else 1 if share < 0.9 else 2
    return Answer(right, f"It reaches {words.share(share)} of everything: {words.score(warm.nothing.mean())}. That is "
                  "why every student here starts fresh.")  # fmt: skip


EXPERIMENTS: tuple[tuple[Callable[[Any, str], Shown], Callable[[], Answer]], ...] = (
    (recommending, answer_recommending),
    (budget, answer_budget),
    (subsets, answer_subsets),
    (first_order, answer_first_order),
    (regularising, answer_regularising),
    (judging, answer_judging),
)
