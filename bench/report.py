"""The results as tables: the same Markdown in the terminal and in docs/performance.md."""

from collections.abc import Mapping, Sequence
from statistics import median

from bench.cases import CASES
from bench.chart import chart
from bench.contenders import CONTENDERS
from bench.load import LoadRun
from core.checkout import CHECKOUT

Results = Mapping[
    tuple[str, int], Mapping[str, Sequence[LoadRun]]
]  # by case and connections, then by contender

PAGE, PICTURE = CHECKOUT / "docs/performance.md", CHECKOUT / "docs/performance.svg"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
TITLES = {contender.name: contender.title for contender in CONTENDERS}
HEAD = (
    "stack",
    "requests/s",
    "±",
    "p50 ms",
    "p99 ms",
    "CPU µs: server",
    "PostgreSQL",
    "both",
    "our rate",
    "our CPU",
    "failed",
)


def rates(results: Results, case: str, connections: int) -> dict[str, float]:
    """Contender → median requests per second, by title."""
    return {TITLES[name]: _median(samples, "rate") for name, samples in results[case, connections].items()}


def tables(results: Results) -> str:
    """One table per case and number of connections, in Markdown that reads well as it is."""
    titles = {case.name: case.title for case in CASES}
    parts = []
    for (case, connections), by_contender in results.items():
        ours = by_contender.get("ours")
        rows = [_row(name, samples, ours) for name, samples in by_contender.items()]
        plural = "s" if connections > 1 else ""
        parts.append(f"### {titles[case]}, {connections} connection{plural}\n\n{markdown(HEAD, rows)}")
    return "\n\n".join(parts)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns padded: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join([first, *others])} |"

    rule = [("-" * width) if not index else "-" * (width - 1) + ":" for index, width in enumerate(widths)]
    return "\n".join([line(head), line(rule), *map(line, rows)])


def save(results: Results, parts: Sequence[str]) -> None:
    """Writes the picture, and the parts between the page's markers; the prose around them stays."""
    PICTURE.write_text(chart({(title, n): rates(results, case, n) for title, case, n in _charted(results)}))
    page = PAGE.read_text() if PAGE.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}")


def _charted(results: Results) -> list[tuple[str, str, int]]:
    return [(case.title, case.name, 32) for case in CASES if (case.name, 32) in results]


def _row(name: str, samples: Sequence[LoadRun], ours: Sequence[LoadRun] | None) -> list[str]:
    """One line of a table; of a stack that answered nothing only that is said."""
    rate, cpu = _median(samples, "rate"), _median(samples, "cpu")
    if not rate:
        return [TITLES[name], "0", *["–"] * (len(HEAD) - 2)]
    return [
        TITLES[name],
        f"{rate:,.0f}",
        f"{_spread(samples):.0%}",
        f"{_median(samples, 'p50'):.2f}",
        f"{_median(samples, 'p99'):.2f}",
        f"{_median(samples, 'server_cpu'):,.0f}",
        f"{_median(samples, 'postgres_cpu'):,.0f}",
        f"{cpu:,.0f}",
        f"×{_median(ours, 'rate') / rate:.2f}" if ours else "",
        f"×{_median(ours, 'cpu') / cpu:.2f}" if ours else "",
        f"{sum(sample.errors for sample in samples):,}",
    ]


def _median(samples: Sequence[LoadRun], what: str) -> float:
    return median(float(getattr(sample, what)) for sample in samples)


def _spread(samples: Sequence[LoadRun]) -> float:
    """Half of what lies between the slowest and the fastest round, as a part of the median."""
    rates = [sample.rate for sample in samples]
    return (max(rates) - min(rates)) / 2 / median(rates)
