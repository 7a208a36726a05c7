"""The commands that keep the house in order; `foster.__main__` reads the arguments. Each returns the exit code."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import asdict, replace

from foster.cache import prune
from foster.commands import open_store
from foster.console import plain, say
from foster.disk import taken_bytes
from foster.errors import UserError
from foster.removal import remove_run
from foster.run_files import to_json
from foster.run_label import read_label, write_label
from foster.words import plural, size

DECLINED = 3


def rm(arguments: Namespace) -> int:
    store = open_store(arguments)
    run = store.get(arguments.run)
    run.require_own("delete")
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise UserError(f"deleting run {run.id} cannot be undone; add --yes if you mean it")
        name = plain(read_label(run).name, 80)
        say(f"delete run {run.id}{f' ({name})' if name else ''}, {size(taken_bytes(run.path))}, for good? y or n")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            say(f"run {run.id} is kept")
            return DECLINED
    print(f"run {run.id} is deleted, {size(remove_run(store, run.id))} are free again")
    return 0


def rename(arguments: Namespace) -> int:
    run = open_store(arguments).get(arguments.run)
    label = replace(read_label(run), name=arguments.name)
    if arguments.note is not None:
        label = replace(label, note=arguments.note)
    write_label(run, label)
    print(f"run {run.id} " + (f"is called “{plain(label.name, 80)}”" if label.name else "has no name"))
    return 0


def cache(arguments: Namespace) -> int:
    store = open_store(arguments)
    if arguments.what == "show":
        taken = taken_bytes(store.cache)
        print(to_json({"bytes": taken}) if arguments.json else f"the cache takes {size(taken)}")
        return 0
    pruned = prune(store, arguments.all, arguments.command)
    if arguments.json:
        print(to_json(asdict(pruned)))
        return 0
    print(f"{plural(pruned.entries, 'entry', 'entries')} removed, {size(pruned.freed)} freed, {size(pruned.left)} left")
    if pruned.silent:
        say(
            f"all was kept for the runs that name nothing ({', '.join(pruned.silent[:3])}"
            f"{', …' if len(pruned.silent) > 3 else ''}); delete them, or prune with --all"
        )
    return 0
