"""Every contender's turn in every round, so that the machine's moods fall on all of them alike."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.cases import CASES, Callers, LoadCase, refresh_tokens
from bench.check import WrongAnswer, check
from bench.contenders import Contender
from bench.database import BenchDatabase
from bench.load import LoadRun, requests_file, run
from bench.report import Results
from bench.server import CannotStart, ContenderServer, running

WARM_UP = (
    1  # seconds per case, unmeasured: pools fill, statements are prepared, just-in-time compilers compile
)
WARM_UP_CONNECTIONS = 16


def play(
    contenders: Sequence[Contender],
    database: BenchDatabase,
    core: int,
    *,
    rounds: int,
    seconds: int,
    connections: Sequence[int],
    say: Callable[[str], None],
) -> Results:
    """Loads each contender in each round; who cannot start or answers wrongly is left out from then on."""
    results: defaultdict[tuple[str, int], dict[str, list[LoadRun]]] = defaultdict(dict)
    playing, known = list(contenders), dict[bool, Callers]()
    for turn in range(rounds):
        start = turn % len(playing)
        for contender in playing[start:] + playing[:start]:
            say(f"round {turn + 1} of {rounds}: {contender.title}")
            try:
                for case, n, sample in _turn(contender, database, core, seconds, connections, known):
                    results[case.name, n].setdefault(contender.name, []).append(sample)
                    say(f"  {case.title}, connections: {n}: {sample.rate:,.0f}/s, {sample.cpu:.0f} µs each")
            except (CannotStart, WrongAnswer) as error:
                say(f"  left out: {error}")
                playing.remove(contender)
            database.restore()
    return results


def _turn(
    contender: Contender,
    database: BenchDatabase,
    core: int,
    seconds: int,
    connections: Sequence[int],
    known: dict[bool, Callers],
) -> Iterator[tuple[LoadCase, int, LoadRun]]:
    """Every case, each on a new server: whom one case has brought to its knees starts afresh in the next."""
    with running(contender, database.url, core) as server:
        callers = known[contender.ours] = known.get(contender.ours) or Callers.of(server)
        if not contender.constant:
            check(server, callers, refresh_tokens(contender, database)[-1])
    for case in CASES[:1] if contender.constant else CASES:
        with running(contender, database.url, core) as server, requests_file(case.lines(callers)) as requests:
            _measured(case, server, database, requests, WARM_UP_CONNECTIONS, WARM_UP)
            for n in connections or case.connections:
                yield case, n, _measured(case, server, database, requests, n, seconds)


def _measured(
    case: LoadCase, server: ContenderServer, database: BenchDatabase, requests: Path, n: int, seconds: float
) -> LoadRun:
    """One run. Raises WrongAnswer when what was acknowledged is not in the database."""
    if case.renews:
        with requests_file(refresh_tokens(server.contender, database)) as tokens:
            sample = run(server, database, requests, n, seconds, tokens)
        if database.renewals() < sample.requests - sample.errors:
            raise WrongAnswer("a refresh token that it acknowledged is still unused")
        return sample
    before = database.new_sales()
    sample = run(server, database, requests, n, seconds)
    if case.writes and database.new_sales() - before < sample.requests - sample.errors:
        raise WrongAnswer("a sale it acknowledged is not there")
    return sample
