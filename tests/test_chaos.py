"""Each fault for a moment: nothing acknowledged is lost, nothing is done twice, no status is unexpected."""

import asyncio

import pytest

from bench.chaos import CASES, try_out
from bench.faults_host import Unavailable


@pytest.mark.parametrize("name", CASES)
def test_it_keeps_its_promises(name):
    try:
        row = asyncio.run(try_out(name, CASES[name], seconds=0.7))
    except Unavailable as lack:
        pytest.skip(str(lack))

    assert row.acknowledged > 0
    assert (row.lost, row.doubled, row.unexpected) == (0, 0, "")
    assert row.seconds < float("inf"), "it never served again"
