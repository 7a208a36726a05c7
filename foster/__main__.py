"""The command line: reads the arguments, turns every error a person can cause into one line, calls a command."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from foster import __version__, commands, tidy
from foster.bench import BENCHMARKS
from foster.console import say
from foster.disk import Free, free_bytes
from foster.errors import UserError
from foster.launch import COMMAND, Execute
from foster.policy import QUEUE_LIMIT
from foster.spec import DEFAULT_STEPS, DEVICES, METHODS

BAD_INPUT = 2


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is one --help away."""

    def error(self, message: str) -> NoReturn:
        say(f"{self.prog}: {message}; see {self.prog} --help")
        raise SystemExit(BAD_INPUT)


def whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def seeds(text: str) -> tuple[int, int]:
    """Distillations and students of each, from '3x5'."""
    found = re.fullmatch(r"([1-9][0-9]?)[x×]([1-9][0-9]?)", text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of distillations x students; give one like 3x5")
    return int(found[1]), int(found[2])


def port_number(text: str) -> int:
    port = whole_number(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is no port; give a number from 1 to 65535")
    return port


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="foster",
        description="Condense a recommender's interaction log into a handful of synthetic sequences, and see them.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"foster {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, action: Callable[[argparse.Namespace], int], help: str | None = None) -> argparse.ArgumentParser:
        # Without a help text argparse leaves a command out of the list.
        texts = {} if help is None else {"help": help, "description": help[0].upper() + help[1:] + "."}
        child = subparsers.add_parser(name, allow_abbrev=False, **texts)  # type: ignore[arg-type]
        child.add_argument(
            "--runs", metavar="DIR", help="folder of the runs (default: $FOSTER_RUNS, else ~/.local/share/foster/runs)"
        )
        child.set_defaults(action=action)
        return child

    app = add("app", commands.app, "open the app in the browser")
    app.add_argument(
        "--port", type=port_number, metavar="N", help="port on this machine (default: 8501 or the next free)"
    )
    app.add_argument(
        "--data", action="append", default=[], metavar="PATH", help="offer this folder's log too; may be repeated"
    )
    app.add_argument(
        "--encoder",
        action="append",
        default=[],
        metavar="NAME|PATH",
        help="offer this text encoder too; may be repeated",
    )

    app.add_argument(
        "--public", action="store_true", help="for visitors: finished runs to look at, small runs of their own"
    )
    app.add_argument("--allow-launch", action="store_true", help="with --public: visitors may launch runs of any size")
    app.add_argument(
        "--queue-limit",
        type=whole_number,
        metavar="N",
        help=f"with --public: visitors' runs that may work or wait at once (default: {QUEUE_LIMIT})",
    )

    run = add(
        "run", commands.run, "distil a log, judge the result, and print the report; Ctrl-C stops and keeps the run"
    )
    run.add_argument("--data", required=True, metavar="sample|PATH", help="the bundled sample, or a folder with a log")
    run.add_argument(
        "--sequences", type=whole_number, default=20, metavar="N", help="synthetic sequences (default: 20)"
    )
    run.add_argument("--length", type=whole_number, default=20, metavar="N", help="items in each (default: 20)")
    run.add_argument(
        "--regularisation",
        type=number,
        default=0.1,
        metavar="X",
        help="weight of the co-occurrence term (default: 0.1)",
    )
    run.add_argument(
        "--method", default="foster", metavar="NAME", help=f"one of {', '.join(METHODS)} (default: foster)"
    )
    run.add_argument("--steps", type=whole_number, metavar="N", help=f"distillation steps (default: {DEFAULT_STEPS})")
    run.add_argument("--students", type=whole_number, default=3, metavar="N", help="students in each mean (default: 3)")
    run.add_argument("--seed", type=whole_number, default=0, metavar="S", help="seed of all that is drawn (default: 0)")
    run.add_argument(
        "--encoder", default="minilm", metavar="NAME|PATH", help="text encoder: a name or a folder (default: minilm)"
    )
    run.add_argument(
        "--tuned-layers",
        type=whole_number,
        default=0,
        metavar="N",
        help="last layers of the encoder, MiniLM has 6, that learn with every recommender (default: 0; slow without a "
        "GPU)",
    )
    run.add_argument("--device", default="auto", metavar="|".join(DEVICES), help="where to compute (default: auto)")
    run.add_argument(
        "--report-test", action="store_true", help="also report the test items, once you are done choosing"
    )
    run.add_argument("--json", action="store_true", help="print the report as one JSON object")

    runs = add("runs", commands.runs, "list the runs")
    runs.add_argument("--json", action="store_true", help="print one JSON object")
    show = add("show", commands.show, "print the titles of a run's synthetic sequences")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    export = add("export", commands.export_run, "write a finished run to take away: tables, card, report, checksums")
    export.add_argument("--to", required=True, metavar="DIR", help="a new or empty folder; with --zip any folder")
    export.add_argument("--zip", action="store_true", help="write one zip into DIR, or DIR itself if it ends in .zip")
    export.add_argument("--json", action="store_true", help="print one JSON object")
    rename = add("rename", tidy.rename, "give a run a name of your own; its id stays")
    remove = add("rm", tidy.rm, "delete a run for good, never a running one")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    for child in (
        show,
        export,
        rename,
        remove,
        add("stop", commands.stop, "stop a run at its next step and keep it"),
        add("pause", commands.pause, "let a run wait; the queue waits behind it"),
        add("step", commands.step, "let a paused run take one step and wait again"),
        add("resume", commands.resume_run, "let a paused, stopped, failed or lost run go on from where it was"),
        add("_work", commands.work_on),
    ):
        child.add_argument("run", metavar="RUN", help="the id of a run, as foster runs lists it")
    rename.add_argument("name", metavar="NAME", help="one line, '' for none")
    rename.add_argument("--note", metavar="TEXT", help="what is to be remembered about it, '' for nothing")
    cache = add("cache", tidy.cache, "show what the shared cache takes, or prune what no run needs")
    cache.add_argument("what", nargs="?", choices=("show", "prune"), default="show", help="default: show")
    cache.add_argument("--all", action="store_true", help="prune everything; it is made again when it is wanted")
    cache.add_argument("--json", action="store_true", help="print one JSON object")
    _add_benchmarks(add("bench", commands.bench, "measure foster on this machine"))
    add("_drain", commands.drain_queue)
    return parser


def _add_benchmarks(bench: argparse.ArgumentParser) -> None:
    """A command below `bench` for every benchmark; `options` makes its keyword arguments of what was given."""
    names = bench.add_subparsers(required=True, metavar="NAME", dest="name")
    children = {}
    for name, about in BENCHMARKS.items():
        first, text = about.split(". ")[0], about[0].upper() + about[1:]
        child = children[name] = names.add_parser(name, allow_abbrev=False, help=first, description=text)
        child.add_argument("--quick", action="store_true", help="few and small, to see that it works; not to be quoted")
        child.add_argument("--json", action="store_true", help="print one JSON object")
        child.add_argument("--out", metavar="FILE", help="write the JSON object into FILE too")
        child.add_argument("--runs", metavar="DIR", default=argparse.SUPPRESS, help="folder of the runs")
        child.set_defaults(options=lambda _: {})
    for name in ("headline", "ablations", "sweep", "transfer"):
        child = children[name]
        child.add_argument("--sequences", type=whole_number, metavar="N", help="as of foster run")
        child.add_argument("--length", type=whole_number, default=20, metavar="N", help="as of foster run")
        child.add_argument("--encoder", default="minilm", metavar="NAME|PATH", help="as of foster run")
        child.add_argument("--tuned-layers", type=whole_number, default=0, metavar="N", help="as of foster run")
        child.add_argument("--device", default="auto", metavar="|".join(DEVICES), help="as of foster run")
        child.add_argument(
            "--minutes", type=number, default=8.0, metavar="N", help="how long this call works (default: 8)"
        )
    headline, ablations, sweep, transfer = (children[name] for name in ("headline", "ablations", "sweep", "transfer"))
    for child in (headline, sweep):
        child.add_argument(
            "--data", action="append", default=[], metavar="sample|PATH", help="a log to measure; may be repeated"
        )
    headline.add_argument(
        "--seeds", type=seeds, default=(3, 5), metavar="DxS", help="distillations and students of each (default: 3x5)"
    )
    headline.set_defaults(options=commands.headline_options)
    for child in (ablations, transfer):
        child.add_argument("--data", metavar="sample|PATH", help="the log to measure")
    for child in (ablations, sweep, transfer):
        child.add_argument("--students", type=whole_number, default=3, metavar="N", help="of each row (default: 3)")
    ablations.add_argument("--report-test", action="store_true", help="also report the test items")
    for child in (sweep, transfer):
        child.add_argument("--report-test", action="store_true", help="tell the test items, not those of validation")
    transfer.set_defaults(options=commands.transfer_options)
    sweep.add_argument("--over", default="sequences", metavar="sequences|regularisation", help="what is varied")
    sweep.add_argument("--values", type=number, nargs="+", default=[], metavar="X", help="its values (default: a few)")
    sweep.add_argument("--svg", metavar="FILE", help="write a chart into FILE once all is measured")
    sweep.set_defaults(options=commands.sweep_options)
    ablations.set_defaults(options=commands.ablations_options)
    cost = children["cost"]
    cost.add_argument("--device", default="auto", metavar="|".join(DEVICES), help="as of foster run")
    cost.add_argument(
        "--limit-mb", type=number, default=8192, metavar="N", help="memory an unroll may take (default: 8192)"
    )
    cost.set_defaults(options=commands.cost_options)


def main(
    argv: Sequence[str] | None = None,
    *,
    execute: Execute | None = None,
    command: Sequence[str] = COMMAND,
    has_gpu: Callable[[], bool] | None = None,
    become: Callable[[list[str]], object] = lambda command: os.execv(command[0], command),
    free: Free = free_bytes,
) -> int:
    """Returns the exit code: 0 done, 1 failed or lost, 2 bad input, 3 stopped, 130 after Ctrl-C.

    execute: the experiment a worker runs, None for `foster.pipeline.execute`; command: how foster's own processes
    start; has_gpu: None asks torch; become: replaces this process by another program; free: reads the room on a disk.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a title must not fail on a terminal with a small character set
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = build_parser().parse_args(argv)
        arguments.execute, arguments.command, arguments.has_gpu, arguments.become = execute, command, has_gpu, become
        arguments.free = free
        code: int = arguments.action(arguments)
        sys.stdout.flush()
        return code
    except UserError as error:
        say(f"foster: {error}")
        return BAD_INPUT
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        say(f"foster: {error.strerror or error}{where}")
        return BAD_INPUT
    except KeyboardInterrupt:
        return commands.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
