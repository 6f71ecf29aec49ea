"""Tells whether a request has become dearer: this project's CPU time for it, relative to a constant answer's.

Both servers run side by side and are loaded in turn, so that the ratio hardly depends on the machine. It is
compared with the one recorded in bench/guard.json, and the last line says what came of it. An API key is compared with
a token. Takes about two minutes; needs wrk.
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

from bench.cases import CASES, USER_IDS, Callers, api_key, refresh_tokens
from bench.contenders import CACHE, CONTENDERS
from bench.database import BenchDatabase, database
from bench.load import MISSING, requests_file, run
from bench.machine import cores, pin
from bench.report import markdown
from bench.server import CannotStart, ContenderServer, running

RECORDED = Path(__file__).with_name("guard.json")
GUARDED = [
    case for case in CASES if case.name in ("get-user", "post-sale", "post-keyed", "list-sales", "renew")
]
BY_KEY = [case for case in CASES if case.name in ("get-sale", "post-sale")]
ROUNDS, SECONDS, CONNECTIONS = 5, 1, 32
GENEROUS = 1.5  # times the recorded ratio: beyond any noise


def measure() -> tuple[dict[str, float], dict[str, float]]:
    """LoadCase → CPU time of a request to this project ÷ that of the constant answer, the rounds' median.

    And title of a case → CPU time of a request with an API key ÷ that of one with a token."""
    CACHE.mkdir(exist_ok=True)
    server_core, load_core = cores()
    pin(load_core)
    ours, floor = CONTENDERS[0], CONTENDERS[-1]
    ratios = defaultdict(list)
    with (
        database() as db,
        running(ours, db.url, server_core) as server,
        running(floor, db.url, server_core) as constant,
    ):
        callers = Callers.of(server)
        for case in GUARDED:
            with requests_file(case.lines(callers)) as requests:
                for turn in range(ROUNDS + 1):
                    least = run(constant, db, requests, CONNECTIONS, SECONDS).server_cpu
                    with requests_file(refresh_tokens(ours, db)) as tokens:
                        renewed = tokens if case.renews else None
                        ours_cpu = run(server, db, requests, CONNECTIONS, SECONDS, renewed).server_cpu
                    if turn:  # the first one warms up
                        ratios[case.name].append(ours_cpu / least)
        by_key = key_against_token(server, db, callers)
    return {name: round(median(found), 2) for name, found in ratios.items()}, by_key


def key_against_token(server: ContenderServer, db: BenchDatabase, callers: Callers) -> dict[str, float]:
    """Title of a case → CPU time of a request with an API key ÷ that of one with a token, the turns' median."""
    keys = Callers({id: api_key(server, callers.tokens[id]) for id in USER_IDS}, [])
    ratios = {}
    for case in BY_KEY:
        turns = []
        with requests_file(case.lines(callers)) as by_token, requests_file(case.lines(keys)) as by_key:
            for _ in range(ROUNDS + 1):
                token, key = (
                    run(server, db, requests, CONNECTIONS, SECONDS).server_cpu
                    for requests in (by_token, by_key)
                )
                turns.append(key / token)
        ratios[case.title] = median(turns[1:])  # the first one warms up
    return ratios


def verdict(dearer: list[str], unrecorded: list[str]) -> str:
    """What the table says, in a sentence."""
    if unrecorded:
        return f"Nothing is recorded of {', '.join(unrecorded)}: run with --record."
    if dearer:
        return f"Dearer than {GENEROUS} times the record: {', '.join(dearer)}."
    return f"No request has become dearer than {GENEROUS} times the record."


def main() -> int:
    parser = argparse.ArgumentParser("scripts/bench-guard", description=__doc__)
    parser.add_argument(
        "--strict", action="store_true", help=f"exit 1 beyond {GENEROUS} times the recorded ratio"
    )
    parser.add_argument("--record", action="store_true", help="make what is measured now the record")
    options = parser.parse_args()
    if MISSING:
        print(MISSING, file=sys.stderr)
        return int(options.strict)
    try:
        ratios, by_key = measure()
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    if options.record:
        RECORDED.write_text(json.dumps(ratios, indent=2) + "\n")
    recorded = json.loads(RECORDED.read_text())
    unrecorded = [case.title for case in GUARDED if case.name not in recorded]
    known = [case for case in GUARDED if case.name in recorded]
    rows = []
    for case in known:
        now, then = ratios[case.name], recorded[case.name]
        rows.append([case.title, f"{now:.2f}", f"{then:.2f}", f"{now / then:.2f}"])
    print(markdown(["CPU of a request ÷ a constant answer's", "now", "recorded", "now ÷ recorded"], rows))
    rows = [[title, f"{ratio:.2f}"] for title, ratio in by_key.items()]
    print(f"\n{markdown(['CPU of a request with an API key ÷ with a token', 'now'], rows)}")
    dearer = [case.title for case in known if ratios[case.name] > GENEROUS * recorded[case.name]]
    print(f"\n{verdict(dearer, unrecorded)}")
    return int(options.strict and bool(dearer or unrecorded))


if __name__ == "__main__":
    sys.exit(main())
