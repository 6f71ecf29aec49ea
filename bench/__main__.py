"""Puts this project beside other stacks under the same load, on one PostgreSQL, and saves what it measured.

Takes about 25 minutes, or two with --quick. Needs wrk; a peer whose runtime is missing is left out. PostgreSQL is
reached over TCP, as where people deploy. PYTHON=python3.11 chooses the interpreter: one that was built with PGO, as
Debian's and Heroku's are, is a fifth faster.
"""

import argparse
import platform
import sys
import sysconfig
from pathlib import Path

from bench.contenders import CACHE, CONTENDERS, CannotBuild, Contender
from bench.database import WAYS, NoTls, database
from bench.load import MISSING
from bench.machine import OtherWork, cores, description, pin
from bench.report import markdown, save, tables
from bench.tournament import play
from bench.waits import measure


def arguments() -> argparse.Namespace:
    names = [contender.name for contender in CONTENDERS]
    parser = argparse.ArgumentParser("scripts/bench", description=__doc__)
    parser.add_argument(
        "--only",
        metavar="NAMES",
        type=lambda text: text.split(","),
        default=names,
        help=f"these contenders alone, saved nowhere: some of {','.join(names)}",
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender (default: 3)")
    parser.add_argument("--seconds", type=int, default=3, help="length of one measurement (default: 3)")
    parser.add_argument(
        "--connections",
        metavar="NUMBERS",
        type=lambda text: [int(n) for n in text.split(",")],
        default=[],
        help="as many in every case, e.g. 1,32,128 (default: what each case calls for)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="1 round of 1 s at 32 connections, saved nowhere"
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--tls", dest="way", action="store_const", const="tls", default="tcp", help="PostgreSQL over TLS"
    )
    way.add_argument("--socket", dest="way", action="store_const", const="socket", help="over a unix socket")
    parser.add_argument(
        "--postgres",
        type=Path,
        metavar="FOLDER",
        help="the programs of another PostgreSQL, e.g. one that has TLS",
    )
    parser.add_argument("--no-save", action="store_true", help="leave docs/performance.* as they are")
    options = parser.parse_args()
    if unknown := set(options.only) - set(names):
        parser.error(f"no such contender: {', '.join(sorted(unknown))}")
    if options.quick:
        options.rounds, options.seconds, options.connections = 1, 1, [32]
    options.save = not (
        options.quick
        or options.no_save
        or options.only != names
        or options.connections
        or options.way == "socket"
    )
    return options


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def built(names: list[str]) -> list[Contender]:
    contenders = []
    for contender in CONTENDERS:
        if contender.name in names:
            say(f"building {contender.title}")
            try:
                contender.build()
                contenders.append(contender)
            except CannotBuild as error:
                say(f"  left out: {error}")
    return contenders


def interpreter() -> str:
    """The Python that runs this project and its peers, and how it was built."""
    flags = f"{sysconfig.get_config_var('CONFIG_ARGS')} {sysconfig.get_config_var('PY_CFLAGS_NODIST')}"
    built = "with PGO" if "--enable-optimizations" in flags or "-fprofile-use" in flags else "without PGO"
    return f"Python {platform.python_version()} built {built}"


def conditions(options: argparse.Namespace, postgres: str, contenders: list[Contender], others: float) -> str:
    """What a reader needs to judge the figures."""
    machine = description([f"PostgreSQL {postgres} over {WAYS[options.way]}", interpreter()])
    runs = f"medians of {options.rounds} rounds of {options.seconds} s; other programs took {others:.0%} of a core"
    peers = [f"- {contender.title}: {contender.packages}" for contender in contenders if contender.packages]
    return "\n".join([f"{machine}; {runs}.", "", *peers])


def main() -> int:
    try:
        return compare(arguments())
    except NoTls:
        say(
            "this PostgreSQL was built without TLS; name one that has it: --postgres /usr/lib/postgresql/17/bin"
        )
        return 1


def compare(options: argparse.Namespace) -> int:
    if MISSING:
        say(MISSING)
        return 1
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    contenders = built(options.only)
    server_core, load_core = cores()
    pin(load_core)  # and with it all that this process starts, but for the servers
    with database(options.way, options.postgres) as db:
        others = OtherWork(db.postmaster)
        results = play(
            contenders,
            db,
            server_core,
            rounds=options.rounds,
            seconds=options.seconds,
            connections=options.connections,
            say=say,
        )
        parts = [conditions(options, db.version, contenders, others.share()), tables(results)]
        print(*parts, sep="\n\n", flush=True)
        if "ours" in options.only and not options.quick:
            say("start, memory, reads while others log in")
            waits = measure(CONTENDERS[0], db, server_core)
            parts.append(markdown(("where people wait", "measured"), waits.rows()))
            print("", parts[-1], sep="\n")
        if options.save:
            save(results, parts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
