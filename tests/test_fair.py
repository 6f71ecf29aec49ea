"""Each offender for a moment: the others get no status that they should not, whatever it takes."""

import asyncio
from collections.abc import Iterator

import pytest

from bench.fair import main, site
from bench.fair_cases import CASES, FairRow, Site, compared
from bench.fair_client import Seen

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    with site(sales=20_000, seconds=1.0) as place:
        yield place


@pytest.mark.parametrize("name", CASES)
def test_others_are_served_while_an_offender_is_at_work(place: Site, name: str) -> None:
    row: FairRow = asyncio.run(place.row(CASES[name]))
    assert row.fair, row.figures


def test_a_row_says_how_much_longer_others_took() -> None:
    alone, beside = Seen([0.01] * 100), Seen([0.02] * 100)
    beside.statuses[201] += 99
    beside.statuses[503] += 1

    row = compared("an offender", "others", "no 503", alone, beside, {201})

    assert row.figures == "p95 ×2.0 (10.0 → 20.0 ms); 201 × 99, 503 × 1"
    assert not row.fair


def test_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "docs/fairness.md" in capsys.readouterr().out
