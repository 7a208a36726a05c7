"""A log in numbers, and what the numbers say in sentences. No streamlit in here."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foster.formats import Dataset
from foster.interactions import Interactions
from foster.ui import words

CURVE_POINTS = 200
EXAMPLES = 5
FEW_USERS, FEW_TRAIN_EVENTS = 50, 200  # below them results say little
_WIDTHS = tuple(step * 10**power for power in range(7) for step in (1, 2, 5))
SHOWN_EVENTS = 24  # the latest of an example's history

# Reason, as the readers count it → why, and what helps.
WHY = {
    "events with a missing id": "Nobody or nothing is named in the row.",
    "events without a time": "Without a time a row has no place in its user's order.",
    "events of unknown items": "The item is not in the table of items, so it has no title to read.",
    "exact duplicate rows": "The same user, item and time again: one of them is kept.",
    "users with fewer than 3 events": "A user needs one event to learn from, one to validate and one to test.",
    "items with a missing id": "An item without an id cannot be found in the log.",
    "items without a title": "Kept, under the id as their title; a text encoder makes little of them.",
    "items with more than one title": "Kept, under the first title that the file gives.",
    "titles that held HTML": "Kept, as the text without the HTML.",
    "repeated rows of an item": "The same item again: the first row with a title is kept.",
}


@dataclass(frozen=True)
class LogFacts:
    """length_bins: (from, to, users) of the histogram, both included. curve: (rank of an item, its events), thinned.
    top_share: the share of all events that the most popular tenth of the items take. never: items nobody took.
    log_bytes: the training log's ids, compressed. train_events: events that are neither validated nor tested on."""

    users: int
    items: int
    events: int
    train_events: int
    shortest: int
    median: int
    longest: int
    length_bins: tuple[tuple[int, int, int], ...]
    curve: tuple[tuple[int, int], ...]
    top_share: float
    never: int
    repeat_share: float
    history_masked: bool
    log_bytes: int


def facts(dataset: Dataset) -> LogFacts:
    log, n_items = dataset.interactions, len(dataset.catalog)
    split = log.leave_one_out()
    popularity = np.sort(np.bincount(log.items, minlength=n_items))[::-1]
    tenth = max(1, round(n_items / 10))
    return LogFacts(
        users=log.n_users,
        items=n_items,
        events=len(log),
        train_events=len(split.train),
        shortest=int(log.lengths.min()),
        median=int(np.median(log.lengths)),
        longest=int(log.lengths.max()),
        length_bins=length_bins(log.lengths),
        curve=_curve(popularity),
        top_share=float(popularity[:tenth].sum() / len(log)),
        never=int((popularity == 0).sum()),
        repeat_share=split.repeat_share,
        history_masked=split.mask_history,
        log_bytes=log_bytes(split.train, n_items),
    )


def log_bytes(train: Interactions, n_items: int) -> int:
    """What a stored result is compared with, as `foster.stored_form.log_bytes` has it, without importing torch."""
    width = np.uint16 if n_items <= 2**16 else np.uint32
    return len(zlib.compress(train.items.astype(width).tobytes(), 9))


def length_bins(lengths: np.ndarray, most: int = 20) -> tuple[tuple[int, int, int], ...]:
    """Histogram over whole numbers in bins of one round width; the last bin also holds the longest hundredth.

    >>> length_bins(np.array([3, 3, 4, 6]))
    ((3, 3, 2), (4, 4, 1), (5, 5, 0), (6, 6, 1))
    """
    low, high = int(lengths.min()), int(lengths.max())
    usual = max(low + 1, int(np.quantile(lengths, 0.99))) if high - low >= most else high
    width = next(width for width in _WIDTHS if width * most > usual - low)
    start = low if width == 1 else low // width * width
    starts = np.arange(start, usual + 1, width)
    places = np.minimum((lengths - start) // width, len(starts) - 1)
    counts = np.bincount(places, minlength=len(starts)).tolist()
    ends = [*(starts[1:] - 1).tolist(), max(high, int(starts[-1]) + width - 1)]
    return tuple(zip(starts.tolist(), ends, counts, strict=True))


def _curve(popularity: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Items that somebody took, by rank, evenly spaced on the logarithmic axis they are drawn on."""
    taken = int((popularity > 0).sum())
    ranks = np.unique(np.geomspace(1, taken, CURVE_POINTS).round().astype(int))
    return tuple((int(rank), int(popularity[rank - 1])) for rank in ranks)


@dataclass(frozen=True)
class Example:
    """One history: its latest titles, oldest first, how many came before them, and how many there are."""

    user: str
    titles: tuple[str, ...]
    earlier: int

    @property
    def length(self) -> int:
        return self.earlier + len(self.titles)


def examples(dataset: Dataset, page: int) -> tuple[Example, ...]:
    """Five users, the same ones for the same data and page; pages turn through all users in a shuffled order."""
    log, titles = dataset.interactions, dataset.catalog.titles
    order = np.random.default_rng(0).permutation(log.n_users)
    pages = -(-log.n_users // EXAMPLES)
    first = page % pages * EXAMPLES
    found = []
    for user in order[first : first + EXAMPLES].tolist():
        items = log.sequence(user)
        shown = tuple(titles[item] for item in items[-SHOWN_EVENTS:])
        found.append(Example(log.user_ids[user], shown, len(items) - len(shown)))
    return tuple(found)


def say_lengths(log: LogFacts) -> str:
    """
    >>> few = LogFacts(2, 3, 7, 3, 3, 3, 4, (), (), 0.5, 0, 0.0, True, 9)
    >>> say_lengths(few)
    'Half of the users have at most 3 events; the longest history has 4.'
    """
    if log.shortest == log.longest:
        return f"Every user has {words.plural(log.median, 'event')}."
    return (
        f"Half of the users have at most {words.plural(log.median, 'event')}; the longest history has "
        f"{words.count(log.longest)}."
    )


def say_popularity(log: LogFacts) -> str:
    tenth = words.plural(max(1, round(log.items / 10)), "item")
    said = f"The most popular tenth, {tenth}, takes {words.share(log.top_share)} of all events"
    return f"{said}; {words.plural(log.never, 'item')} nobody took." if log.never else f"{said}; every item was taken."


def say_few(users: int, train_events: int) -> str:
    """A warning where a log is too small for results to mean much, '' for any other.

    >>> say_few(49, 5000)
    '49 users and 5,000 training events: with fewer than 50 users results say little. One more hit or miss moves \
Recall by 2.0 points, and another seed may turn the order round. It can be distilled all the same.'
    >>> say_few(50, 200)
    ''
    """
    few = [
        said
        for said, applies in (
            (f"fewer than {FEW_USERS} users", users < FEW_USERS),
            (f"fewer than {FEW_TRAIN_EVENTS} training events", train_events < FEW_TRAIN_EVENTS),
        )
        if applies
    ]
    if not few:
        return ""
    sizes = f"{words.plural(users, 'user')} and {words.plural(train_events, 'training event')}"
    return (
        f"{sizes}: with {' and '.join(few)} results say little. One more hit or miss moves Recall by "
        f"{100 / users:.1f} points, and another seed may turn the order round. It can be distilled all the same."
    )


def say_repeats(log: LogFacts) -> str:
    """What the share of repeated targets means for the evaluation."""
    if log.history_masked and not log.repeat_share:
        return (
            "In the training part nobody takes an item twice, and no test item was taken before. So what a user had "
            "already is left out of the ranking."
        )
    said = f"{words.share(log.repeat_share)} of the test items were taken by the same user before."
    if log.history_masked:
        return f"{said} The training part holds no repeats, so what a user had is left out of the ranking all the same."
    return (
        f"{said} Taking an item again is a right answer here, so nothing is left out of the ranking, and every trained "
        "model reckons with it: how likely that is, by how long ago it was, is read off the training part."
    )


@dataclass(frozen=True)
class Dropped:
    reason: str
    count: int
    why: str


def dropped_rows(dropped: Mapping[str, int]) -> tuple[Dropped, ...]:
    """What was left out or mended, the most frequent first."""
    ordered = sorted(dropped.items(), key=lambda each: -each[1])
    return tuple(Dropped(reason, count, WHY.get(reason, "")) for reason, count in ordered)


def items_table(dataset: Dataset, shorten: Callable[[str], str]) -> pd.DataFrame:
    """Title, Category, Events, Item id; the most popular first, equal ones in the catalogue's order."""
    catalog = dataset.catalog
    table = pd.DataFrame(
        {
            "Title": [shorten(title) for title in catalog.titles],
            "Category": [shorten(category) for category in catalog.category],
            "Events": np.bincount(dataset.interactions.items, minlength=len(catalog)),
            "Item id": [shorten(item) for item in catalog.ids],
        }
    )
    return table.sort_values("Events", ascending=False, kind="stable", ignore_index=True)
