"""What a run would cost, said before it starts: the budget as a picture, bytes beside the log's, and a span of time."""

from __future__ import annotations

from dataclasses import replace
from math import log

from foster.errors import UserError
from foster.spec import RunSpec
from foster.ui import datasets, history, words
from foster.ui.forecast import at_most, forecast
from foster.ui.markup import Markup, show, tag
from foster.ui.sources import Source
from foster.ui.state import Selection
from foster.ui.states import note
from foster.ui.widgets import LENGTHS, SEQUENCES

ALIKE = 0.8  # of the log: a set above this saves hardly any bytes


def estimate(selection: Selection, source: Source, spec: RunSpec) -> bool:
    """False where the data cannot be read, which is then said; such a run would only fail."""
    try:
        data = datasets.log_of(source).facts
    except UserError as error:
        note("This data set cannot be read", str(error), "bad")
        return False
    show(_dots(spec.sequences, spec.length))
    most = at_most(spec, data.log_bytes)
    said = f"{words.count(spec.sequences * spec.length)} positions, stored in at most {words.size(most)}."
    said += f" The training log itself takes {words.size(data.log_bytes)}"
    if most > data.log_bytes:
        said += f", which is less: {_smaller(spec, data.log_bytes)}."
    elif most > ALIKE * data.log_bytes:
        said += ", about as much: what is saved is training time and sequences to read, not bytes."
    else:
        said += "."
    show(tag("p", said, class_="hint"))
    sizes = (
        f"{words.plural(data.users, 'user')}, {words.plural(data.items, 'item')}, {words.plural(data.events, 'event')}."
    )
    span = forecast(spec, data, history.earlier(selection))
    if span is not None:
        time = str(span)
    elif spec.tuned_layers:
        time = "No run with so many learning layers has finished here yet, so the time is not known."
    else:
        time = "No run has finished on such a device yet, so the time is not known."
    show(tag("p", f"{sizes} {time}", class_="hint"))
    return True


def _smaller(spec: RunSpec, log_bytes: int) -> str:
    """The largest budget of the form, within what was asked for and nearest to its shape, that saves bytes."""
    smaller = [
        replace(spec, sequences=sequences, length=length)
        for length in (*LENGTHS, spec.length)
        for sequences in (*SEQUENCES, spec.sequences)
        if length <= spec.length and sequences <= spec.sequences
    ]
    fitting = [each for each in smaller if at_most(each, log_bytes) <= ALIKE * log_bytes]
    if not fitting:
        return "so small a log cannot be stored in less, though its sequences can still be read"

    def worth(each: RunSpec) -> tuple[int, float]:
        bent = log(each.sequences / spec.sequences) - log(each.length / spec.length)
        return each.sequences * each.length, -abs(bent)

    best = max(fitting, key=worth)
    return f"this set saves nothing, one of {best.sequences} × {best.length} would"


def _dots(sequences: int, length: int) -> Markup:
    """One dot a position, up to 40 × 50 of them."""
    row = tag("div", *[tag("i") for _ in range(min(length, 50))])
    return tag(
        "div",
        *[row] * min(sequences, 40),
        class_="budget",
        role="img",
        aria_label=f"{sequences} rows of {length} dots, one a position",
    )
