"""A soak of seconds: visitors get what they are owed; and what a longer one would call growth."""

import asyncio
from dataclasses import replace

import pytest

from bench.gauges import GaugeReading, grown, quarters
from bench.soak import SAMPLES, soak

SAMPLE = GaugeReading(memory=60, files=30, connections=8, postgres=25)


@pytest.mark.slow
def test_visitors_get_what_they_are_owed():
    outcome = asyncio.run(soak(seconds=4, rate=150))

    assert outcome.requests > 0
    assert outcome.sales > 0
    assert (outcome.lost, outcome.doubled, outcome.strange) == (0, 0, 0)
    assert not outcome.record.unexpected
    assert len(outcome.samples) == SAMPLES
    assert min(outcome.samples[-1].memory, outcome.samples[-1].files, outcome.samples[-1].postgres) > 0
    assert outcome.samples[-1].connections > 1
    assert "lost: 0, doubled: 0, strange: 0, unexpected: none." in str(outcome)


@pytest.mark.slow
def test_what_has_been_lost_is_told():
    outcome = asyncio.run(soak(seconds=0.5, rate=50))
    outcome.record.unexpected["GET /user/me: 500, not 200"] += 3

    faults = replace(outcome, lost=1, samples=[SAMPLE] * 4).faults

    assert faults == ["1 sales lost", "GET /user/me: 500, not 200 ×3"]


@pytest.mark.parametrize(
    ("gauge", "step", "name"),
    [
        ("memory", 0.2, "memory of the server, MB"),
        ("files", 0.2, "open file descriptors of the server"),
        ("connections", 0.2, "connections to PostgreSQL"),
        ("postgres", 0.3, "memory of PostgreSQL without its shared buffers, MB"),
    ],
)
def test_what_grows_is_told(gauge, step, name):
    growing = [replace(SAMPLE, **{gauge: 10 + step * number}) for number in range(120)]

    assert grown(growing) == [name]
    assert grown([SAMPLE] * 120) == []


def test_the_start_and_a_moment_do_not_count():
    start = [replace(SAMPLE, memory=20)] * 30
    peak = [replace(SAMPLE, memory=200)]

    assert quarters([*start, *[SAMPLE] * 90], "memory") == [20, 60, 60, 60]
    assert grown([*start, *[SAMPLE] * 80, *peak, *[SAMPLE] * 9]) == []
