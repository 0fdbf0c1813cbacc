"""What the command line may hold. Nothing here loads more than argparse."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from optengine.core.errors import did_you_mean

FAILED, WRONG, INTERRUPTED = 1, 2, 130  # exit codes

Command = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message}; see {self.prog} --help\n")
        sys.exit(WRONG)


class ShowVersion(argparse.Action):
    """Look the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        import optengine

        sys.stdout.write(f"optengine {optengine.__version__}\n")
        parser.exit()


def late(module: str, function: str) -> Command:
    """Return a command that imports its module when it runs."""

    def command(options: argparse.Namespace) -> int:
        run: Command = getattr(importlib.import_module(f"optengine.cli.{module}"), function)
        return run(options)

    return command


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments; `command` is what to run."""
    parser, commands = build()
    first = next((argument for argument in arguments if not argument.startswith("-")), None)
    if first is not None and first not in commands:
        parser.error(
            f"there is no command {first!r}, only {', '.join(commands)}{did_you_mean(first, commands)}"
        )
    options, rest = parser.parse_known_args(arguments)
    if rest:
        own = commands[options.name_of_command]
        known = [option for action in own._actions for option in action.option_strings]
        own.error(f"there is no argument {rest[0]!r}{did_you_mean(rest[0].split('=')[0], known)}")
    return options


def build() -> tuple[Parser, dict[str, Parser]]:
    """Return the parser, and those of the commands by name."""
    parser = Parser(prog="optengine", description=__doc_of_command__, allow_abbrev=False)
    parser.add_argument("--version", action=ShowVersion, nargs=0, help="print the version and exit")
    everywhere = Parser(add_help=False)
    for each in (parser, everywhere):
        each.add_argument(
            "--traceback",
            action="store_true",
            default=argparse.SUPPRESS,
            help="on an error, show where it arose",
        )
    commands = parser.add_subparsers(
        metavar="COMMAND", dest="name_of_command", required=True, parser_class=Parser
    )

    def add(name: str, module: str, about: str) -> Parser:
        command = commands.add_parser(
            name, help=about, description=about, parents=[everywhere], allow_abbrev=False
        )
        command.set_defaults(command=late(module, name.replace("-", "_")))
        return command

    _solve(add("solve", "solving", "Solve one problem and print its result."))
    _explain(add("explain", "explaining", "Say what auto would take for a problem, and why; nothing runs."))
    _batch(add("batch", "batches", "Run the solvers of a set on its problems, once for each seed."))
    _report(add("report", "batches", "Draw what the runs of a batch say about its solvers."))
    solvers = add("solvers", "listing", "List the solvers, or say which of them suit a problem.")
    solvers.add_argument("--problem", metavar="FILE", help="instance file, or TOML file as for solve")
    add("problems", "listing", "List the file formats that can be read, and the problem classes.")
    _show(add("show", "showing", "Show a journaled run, or list the runs of a journal or of a batch."))
    _train_predictor(
        add(
            "train-predictor",
            "training",
            "Train a predictor of binaries on mixed-integer programs of one class.",
        )
    )
    add("warmup", "warming", "Compile all kernels now, so that no first run waits for it.")
    return parser, dict(commands.choices)


__doc_of_command__ = "State a problem once and solve it with what fits."


def _solve(command: Parser) -> None:
    add = command.add_argument
    add("spec", metavar="SPEC", help="TOML file that states the problem, or an instance file")
    add(
        "--index", type=int, metavar="I", help="which problem, from 0, of an instance file that holds several"
    )
    add("--solver", metavar="NAME", help="a name from `optengine solvers`, or auto")
    add(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the solver; may be repeated",
    )
    add("--model", metavar="FILE", help="trained predictor, for the solver predict_and_search")
    add("--budget", type=int, metavar="N", help="evaluations")
    add("--time-limit", type=float, metavar="S", help="seconds, after compilation")
    add("--target", type=float, metavar="V", help="stop when the objective is this good")
    add("--seed", type=int, metavar="N", help="reproduces the run")
    add("--workers", type=int, metavar="N", help="processes that evaluate")
    add("--storage", metavar="URL", help="journal: a path ending in .db, sqlite:/// or postgresql://")
    add("--name", metavar="NAME", help="of the run in the journal (default: the problem's name)")
    add("--json", metavar="FILE", help="write the result with its history")
    add("--plot", metavar="FILE", help="draw the run: png, svg or pdf")
    _progress(command)


def _explain(command: Parser) -> None:
    add = command.add_argument
    add("spec", metavar="SPEC", help="TOML file that states the problem, or an instance file")
    add("--index", type=int, metavar="I", help="which problem, from 0, of a file that holds several")
    add("--budget", type=int, metavar="N", help="evaluations")
    add("--workers", type=int, metavar="N", help="processes that evaluate")


def _batch(command: Parser) -> None:
    add = command.add_argument
    add("set", metavar="SET.toml", help="problems, solvers and seeds")
    add(
        "--out",
        metavar="DIR",
        required=True,
        help="folder for results.csv and the journals; the same call resumes",
    )
    add("--workers", type=int, metavar="N", help="runs side by side (default: 1, or what the set says)")
    _progress(command)


def _report(command: Parser) -> None:
    add = command.add_argument
    add("runs", metavar="RUNS", help="folder of a batch, finished or not")
    add("--html", metavar="FILE", help="one page that needs nothing beside it")
    add("--export", metavar="DIR", help="pictures, tables, and the runs in IOHprofiler's and COCO's formats")


def _show(command: Parser) -> None:
    add = command.add_argument
    add(
        "run",
        metavar="RUN",
        help="DB#RUN or DIR#RUN; DB or DIR alone lists the runs; RUN alone needs --storage",
    )
    add("--storage", metavar="URL", help="journal that holds RUN")
    add("--plot", metavar="FILE", help="draw the run: png, svg or pdf")
    add("--json", metavar="FILE", help="write the result with its history")


def _train_predictor(command: Parser) -> None:
    add = command.add_argument
    add("instances", metavar="DIR", help="folder of .mps and .lp files, plain or .gz")
    add("--out", metavar="FILE", required=True, help="the predictor, for predict_and_search")
    add("--pools", metavar="DIR", help="keeps the pools and checkpoints; the same call resumes")
    add("--pool-seconds", type=float, metavar="S", help="of the exact backend, each instance (default: 20)")
    add("--epochs", type=int, metavar="N", help="at most (default: 60)")
    add("--loss", metavar="NAME", help="contrastive, cross_entropy or info_nce (default: contrastive)")
    add(
        "--tune-seconds", type=float, metavar="S", help="spent on choosing k0, k1 and the radius (default: 0)"
    )
    add("--tune-limit", type=float, metavar="S", help="time limit of each of these runs (default: 10)")
    add("--workers", type=int, metavar="N", help="processes that collect pools (default: 1)")
    add("--seed", type=int, metavar="N", help="reproduces the training (default: 0)")
    _progress(command)


def _progress(command: Parser) -> None:
    command.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show how far it has come, on standard error (default: in a terminal)",
    )
