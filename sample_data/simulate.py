"""Simulated readers for the sample catalogue: items.csv in, interactions.csv out, the same bytes each time.

    python sample_data/simulate.py            # write interactions.csv
    python sample_data/simulate.py --check    # exit 1 unless interactions.csv is exactly what this program writes

Standard library only. The one source of chance is `random.Random(SEED).random()`, whose values Python keeps stable
across versions and platforms; everything that is compared or summed is a whole number, so no rounding can differ.

A reader takes the next book for one of five reasons (shares in `REASONS`):

continue  goes on with an author under way: the next volume of a series, else another of the author's books. Several
          authors are under way at once and take turns, so the next book is often no sequel of the last one.
theme     follows a link from the theme of one of the last three books to another theme ("after vampires, go on to
          castles") and picks a book on it that suits the reader.
author    follows a link from the author of one of the last three books to another author ("after X, read Y").
taste     picks from the home genre or one next to it: favourite subjects, favourite era and fame count.
noise     picks any book by fame alone.

Links between themes (common subjects) and between authors are two fixed directed graphs, drawn once along the table
`MOVES` of genres. What leads where is not what texts resemble, but it depends only on what the texts say. The book
before the last is the usual source of a link: the next one is settled on while the last one is still being read. A
reason that leads nowhere (all of it read) gives way to taste.

Taste drifts: the home genre moves along `MOVES`, and favourite subjects are replaced by those of books just liked.
Series are read in order, but for noise. Fame is drawn once, has a long tail and is not in any text.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEED = 20_240_101
READERS = 3_000
FEWEST, MOST = 5, 60  # books a reader; the smaller of two uniform draws, so the mean is near 23
FIRST_DAY, START_DAYS, SPAN_DAYS = 19_723, 180, 480  # days since 1970-01-01 (2024-01-01); a reading life of 480 days

REASONS = {"continue": 34, "theme": 16, "author": 34, "taste": 10, "noise": 6}  # percent
STOP_AUTHOR = 10  # percent: how often a reader is done with an author after a book
UNDER_WAY = 3  # authors at once; the oldest is forgotten
RECENT = (1, 4, 2)  # weights of the last books as the source of a link, latest first: a link takes time to act
LINKS = (7, 2)  # weights of the two links of a theme or an author
TURNS = (4, 3, 1)  # weights of the authors under way, latest last: the one just read is the least likely
LIKED = 3  # extra weight of a book for each favourite subject it shares, three at most
FAME = (2, 600, 16)  # fame of the author of rank r is a + b // (r + c): 39, 37, 35 … 3
THEME_BOOKS = 7  # a subject of so many books is a theme, and has links
DRIFT = 6  # percent: how often the home genre moves after a book
KEEP_SERIES = 75  # percent: how often going on with an author means going on with the series in hand
ERAS = (1900, 1946, 1975, 1995)  # first years of the eras after the first

# Where readers of a genre go next; weights. What a genre leads to is not what its texts resemble.
MOVES: dict[str, dict[str, int]] = {
    "Fantasy": {"Fantasy": 4, "Science Fiction": 3, "Young Adult": 2, "Historical Fiction": 3, "Horror": 1},
    "Science Fiction": {"Science Fiction": 4, "Popular Science": 4, "Thriller": 2, "Fantasy": 2},
    "Horror": {"Horror": 2, "Mystery": 4, "Fantasy": 2, "Classics": 2},
    "Mystery": {"Mystery": 4, "Thriller": 3, "Historical Fiction": 3, "Horror": 1},
    "Thriller": {"Thriller": 3, "Mystery": 3, "History": 4, "Science Fiction": 1},
    "Romance": {"Romance": 3, "Classics": 4, "Young Adult": 2, "Memoir & Biography": 2},
    "Historical Fiction": {"Historical Fiction": 3, "History": 3, "Romance": 2, "Literary Fiction": 2},
    "Classics": {"Classics": 4, "Literary Fiction": 4, "Mystery": 2, "Children": 1},
    "Literary Fiction": {"Literary Fiction": 4, "Memoir & Biography": 4, "Classics": 2, "Science Fiction": 1},
    "Young Adult": {"Young Adult": 3, "Fantasy": 4, "Romance": 3, "Horror": 1},
    "Children": {"Children": 4, "Young Adult": 4, "Fantasy": 2, "Memoir & Biography": 1},
    "Popular Science": {"Popular Science": 3, "Memoir & Biography": 3, "Science Fiction": 3, "History": 2},
    "History": {"History": 3, "Historical Fiction": 4, "Popular Science": 2, "Memoir & Biography": 2},
    "Memoir & Biography": {"Memoir & Biography": 3, "Literary Fiction": 3, "History": 3, "Children": 1},
}


class Dice:
    """Whole-number draws from one seeded stream."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed).random

    def below(self, n: int) -> int:
        """Uniform on 0 … n - 1."""
        return int(self._draw() * n)

    def percent(self, chance: int) -> bool:
        return self.below(100) < chance

    def index(self, weights: Sequence[int]) -> int:
        """Position drawn in proportion to whole-number weights, not all zero."""
        totals = list(accumulate(weights))
        return bisect_right(totals, self.below(totals[-1]))

    def shuffled(self, n: int) -> list[int]:
        order = list(range(n))
        for i in range(n - 1, 0, -1):
            j = self.below(i + 1)
            order[i], order[j] = order[j], order[i]
        return order


@dataclass(frozen=True)
class Book:
    """One row of items.csv; `era` is 0 … 4, `series` empty for a book that stands alone."""

    id: str
    author: int
    genre: str
    era: int
    subjects: tuple[str, ...]
    series: str
    number: int


@dataclass
class World:
    """The books with what readers know and texts do not say: fame and links."""

    books: list[Book]
    by_author: list[list[int]]
    by_genre: dict[str, list[int]]
    before: list[int]  # the book before in the series as far as it is in the catalogue, or -1
    by_theme: dict[str, list[int]]
    fame: list[int] = field(default_factory=list)
    author_links: list[list[int]] = field(default_factory=list)
    theme_links: dict[str, list[str]] = field(default_factory=dict)

    def theme(self, book: Book) -> str | None:
        """The first of a book's subjects that enough books share to have links."""
        return next((subject for subject in book.subjects if subject in self.by_theme), None)


def read_books(path: Path) -> list[Book]:
    """The catalogue in file order; authors are numbered by first appearance."""
    authors: dict[str, int] = {}
    books = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            series, _, number = row["series"].rpartition(", book ")
            books.append(
                Book(
                    id=row["item_id"],
                    author=authors.setdefault(row["author"], len(authors)),
                    genre=row["genre"],
                    era=bisect_right(ERAS, int(row["year"])),
                    subjects=tuple(row["subjects"].split("; ")),
                    series=series,
                    number=int(number or 0),
                )
            )
    return books


def build_world(books: list[Book], dice: Dice) -> World:
    """Index the books, then draw fame and links."""
    by_author: list[list[int]] = [[] for _ in range(1 + max(book.author for book in books))]
    by_genre: dict[str, list[int]] = defaultdict(list)
    by_subject: dict[str, list[int]] = defaultdict(list)
    volumes: dict[str, list[int]] = defaultdict(list)
    for i, book in enumerate(books):
        by_author[book.author].append(i)
        by_genre[book.genre].append(i)
        for subject in book.subjects:
            by_subject[subject].append(i)
        if book.series:
            volumes[book.series].append(i)
    before = [-1] * len(books)
    for shelf in volumes.values():
        shelf.sort(key=lambda i: books[i].number)
        for earlier, later in pairwise(shelf):
            before[later] = earlier
    by_theme = {subject: shelf for subject, shelf in sorted(by_subject.items()) if len(shelf) >= THEME_BOOKS}
    world = World(books, by_author, dict(by_genre), before, by_theme)

    author_fame = [0] * len(by_author)
    for rank, author in enumerate(dice.shuffled(len(by_author))):
        author_fame[author] = FAME[0] + FAME[1] // (rank + FAME[2])
    world.fame = [author_fame[book.author] * (1 + dice.below(4)) for book in books]
    world.author_links = [
        _draw_links(world, shelf, by_author, [author_fame[books[other[0]].author] for other in by_author], dice)
        for shelf in by_author
    ]
    themes = list(by_theme)
    for theme, shelf in by_theme.items():
        drawn = _draw_links(world, shelf, list(by_theme.values()), [1] * len(themes), dice)
        world.theme_links[theme] = [themes[other] for other in drawn]
    return world


def _draw_links(world: World, shelf: list[int], shelves: list[list[int]], pull: list[int], dice: Dice) -> list[int]:
    """Different shelves that readers of `shelf` move on to, the strongest link first.

    A shelf draws in proportion to how often `MOVES` leads from the genres here to the genres there, times its `pull`;
    shelves that share a book with this one do not.
    """
    books = world.books
    own = Counter(books[i].genre for i in shelf)
    weights = []
    for other, strength in zip(shelves, pull, strict=True):
        there = Counter(books[i].genre for i in other)
        moves = sum(n * m * MOVES[a].get(b, 0) for a, n in own.items() for b, m in there.items())
        share = 1000 * moves // (len(shelf) * len(other))
        weights.append(0 if set(shelf) & set(other) else share * strength)
    drawn = []
    for _ in LINKS:
        drawn.append(dice.index(weights))
        weights[drawn[-1]] = 0
    return drawn


class Reader:
    """One simulated reader: taste, what is under way, what was read."""

    def __init__(self, world: World, dice: Dice) -> None:
        self.world, self.dice = world, dice
        self.history: list[int] = []
        self.read: set[int] = set()
        self.under_way: list[int] = []  # authors, latest last
        self.era = dice.index((1, 2, 3, 4, 5))
        genres = list(world.by_genre)
        self.home = genres[dice.index([len(world.by_genre[genre]) for genre in genres])]
        self.subjects: list[str] = []
        self._like(world.by_genre[self.home][dice.below(len(world.by_genre[self.home]))])

    def _like(self, book: int) -> None:
        """Make a book's subjects favourites; the six latest count."""
        self.subjects = [*self.subjects, *self.world.books[book].subjects][-6:]

    def take(self) -> int:
        """Choose, note and return the next book."""
        reasons = {
            "continue": self._continue,
            "theme": self._by_theme_link,
            "author": self._by_author_link,
            "taste": self._by_taste,
        }
        reason = list(REASONS)[self.dice.index(list(REASONS.values()))]
        book = reasons[reason]() if reason in reasons else self._by_fame()
        if book is None:  # nothing under way, or all of it read
            reason, book = "taste", self._by_taste()
        self._note(book, reason)
        return book

    def _note(self, book: int, reason: str) -> None:
        self.history.append(book)
        self.read.add(book)
        author = self.world.books[book].author
        if reason != "noise":
            stops = self.dice.percent(STOP_AUTHOR) or not self._open(self.world.by_author[author])
            others = [other for other in self.under_way if other != author]
            self.under_way = others if stops else [*others, author][-UNDER_WAY:]
            if self.dice.percent(30):
                self._like(book)
        if self.dice.percent(DRIFT):
            moves = MOVES[self.home]
            self.home = list(moves)[self.dice.index(list(moves.values()))]

    def _open(self, books: Sequence[int]) -> list[int]:
        """Those not read yet whose earlier volumes all were."""
        before = self.world.before
        return [i for i in books if i not in self.read and (before[i] < 0 or before[i] in self.read)]

    def _next_of(self, author: int) -> int | None:
        choice = self._open(self.world.by_author[author])
        if not choice:
            return None
        sequels = [i for i in choice if self.world.before[i] >= 0]
        if sequels and self.dice.percent(KEEP_SERIES):
            choice = sequels
        return choice[self.dice.index([self.world.fame[i] for i in choice])]

    def _continue(self) -> int | None:
        if not self.under_way:
            return None
        return self._next_of(self.under_way[self.dice.index(TURNS[: len(self.under_way)])])

    def _recent(self) -> Book | None:
        latest = self.history[::-1][: len(RECENT)]
        return self.world.books[latest[self.dice.index(RECENT[: len(latest)])]] if latest else None

    def _by_author_link(self) -> int | None:
        source = self._recent()
        if source is None:
            return None
        return self._next_of(self.world.author_links[source.author][self.dice.index(LINKS)])

    def _by_theme_link(self) -> int | None:
        source = self._recent()
        theme = self.world.theme(source) if source else None
        if theme is None:
            return None
        choice = self._open(self.world.by_theme[self.world.theme_links[theme][self.dice.index(LINKS)]])
        return self._suiting(choice) if choice else None

    def _by_taste(self) -> int:
        genre = self.home
        if self.dice.percent(30):
            moves = MOVES[self.home]
            genre = list(moves)[self.dice.index(list(moves.values()))]
        return self._suiting(self._open(self.world.by_genre[genre]) or self._open(range(len(self.world.books))))

    def _suiting(self, choice: Sequence[int]) -> int:
        """A book of `choice` that suits the reader: favourite subjects, favourite era, home genre, fame."""
        weights = []
        for i in choice:
            book = self.world.books[i]
            liked = sum(subject in book.subjects for subject in self.subjects)
            suits = (1 + LIKED * min(liked, 3)) * (4 - min(abs(book.era - self.era), 3))
            weights.append(self.world.fame[i] * suits * (2 if book.genre == self.home else 1))
        return choice[self.dice.index(weights)]

    def _by_fame(self) -> int:
        return self.dice.index([0 if i in self.read else fame for i, fame in enumerate(self.world.fame)])


def simulate(books: list[Book]) -> Iterator[tuple[str, str, int]]:
    """(user_id, item_id, day) of all readers, reader by reader, days strictly rising within a reader."""
    dice = Dice(SEED)
    world = build_world(books, dice)
    for number in range(1, READERS + 1):
        length = FEWEST + min(dice.below(MOST - FEWEST + 1), dice.below(MOST - FEWEST + 1))
        reader = Reader(world, dice)
        day = FIRST_DAY + dice.below(START_DAYS)
        pace = 2 * SPAN_DAYS // length  # the longest pause, in days; a heavy reader reads faster
        for _ in range(length):
            yield f"u{number:04d}", books[reader.take()].id, day
            day += 1 + dice.below(pace)


def render(events: Iterator[tuple[str, str, int]]) -> bytes:
    """interactions.csv as bytes: UTF-8, one line feed a row."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("user_id", "item_id", "timestamp"))
    writer.writerows(events)
    return text.getvalue().encode()


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the simulated readers of the sample data.")
    parser.add_argument("--check", action="store_true", help="compare with interactions.csv instead of writing it")
    check = parser.parse_args().check
    target = HERE / "interactions.csv"
    made = render(simulate(read_books(HERE / "items.csv")))
    if not check:
        target.write_bytes(made)
        return 0
    same = target.is_file() and target.read_bytes() == made
    print("interactions.csv is what simulate.py writes" if same else "interactions.csv differs from simulate.py")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
