"""Each fault for a moment: nothing acknowledged is lost, nothing is done twice, no status is unexpected."""

import asyncio

import httpx
import pytest

from bench import ledger as ledgers
from bench import reliability_page
from bench.chaos import CASES, FaultRow, main, try_out
from bench.faults_host import Unavailable
from bench.ledger import Ledger

ROW = FaultRow("a fault", 10, 5, 0, 0, "", 0.1)


QUICK = "kill -9 of the API"
EACH = [name if name == QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES]


@pytest.mark.parametrize("name", EACH)
def test_it_keeps_its_promises(name):
    try:
        row = asyncio.run(try_out(name, CASES[name], seconds=0.7, requests=150))
    except Unavailable as lack:
        pytest.skip(str(lack))

    assert row.acknowledged > 0
    assert (row.lost, row.doubled, row.unexpected) == (0, 0, "")
    assert row.seconds < float("inf"), "it never served again"


def test_the_ledger_tells_what_no_promise_covers(monkeypatch):
    ledger = Ledger()
    for moment, outcome in [(1, "503"), (2, "503"), (2, "cut"), (3, "success"), (9, "503"), (9, "503")]:
        monkeypatch.setattr(ledgers.time, "monotonic", lambda moment=moment: moment)
        ledger.note(outcome)
    ledger.promised = {10: 1, 11: 2, 12: 3}

    assert ledger.requests == 6
    assert ledger.unexpected({"503", "cut"}, 1, 9) == []
    assert ledger.unexpected({"503"}, 1, 9) == ["cut×1"]
    assert ledger.unexpected({"503", "cut"}, 2, 8) == ["503 while all was well×3"]
    assert ledger.verdict({11: 2, 12: 1, 99: 1}) == (1, 1)
    assert ledger.unanswered({11: 2, 12: 1, 99: 1}) == 1
    assert ledger.recovery(2.5) == 0.5
    assert ledger.recovery(4) == float("inf")


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (201, {}, "success"),
        (404, {}, "404"),
        (503, {"Retry-After": "1"}, "503"),
        (503, {}, "503 without Retry-After"),
    ],
)
def test_an_honest_503_says_when_to_try_again(status, headers, outcome):
    assert ledgers.outcome(httpx.Response(status, headers=headers)) == outcome


@pytest.mark.parametrize("fault", [{"lost": 1}, {"doubled": 1}, {"unexpected": "500×1"}, {"seconds": 5.1}])
def test_a_broken_promise_fails_the_run(fault):
    assert ROW.good
    assert not FaultRow(**vars(ROW) | fault).good


def test_a_run_is_saved_with_what_was_not_tried(monkeypatch, tmp_path, capsys):
    async def tried(name, *_):
        if "PgBouncer" in name:
            raise Unavailable("needs pgbouncer")
        return FaultRow(**vars(ROW) | {"name": name, "lost": int("disk" in name)})

    saved = tmp_path / "page.md"
    saved.write_text("before\n<!-- chaos: begin -->\nold\n<!-- chaos: end -->\nafter\n")
    monkeypatch.setattr(reliability_page, "PAGE", saved)
    monkeypatch.setattr("bench.chaos.try_out", tried)
    monkeypatch.setattr("sys.argv", ["chaos", "--save"])

    assert main() == 1
    lines = saved.read_text().splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("before", "after", len(CASES) + 6)
    assert "| kill -9 of the API | 10 | 5 | 0 | 0 | none | 0.10 |" in lines
    assert "| kill -9 of PgBouncer | not tried: needs pgbouncer | | | | | |" in lines
    assert capsys.readouterr().out.splitlines() == lines[2:-2]
