"""A bar chart as SVG: a panel per case, a bar per contender; it follows the reader's dark or light mode."""

from collections.abc import Mapping
from html import escape

WIDTH, LABELS, FIGURES, BAR, GAP, HEAD = 760, 250, 70, 16, 6, 34
STYLE = """
  .paper { fill: #ffffff }
  text { fill: #1f2328; font: 13px system-ui, sans-serif }
  .title { font-weight: 600 }
  .bar { fill: #8c959f } .ours { fill: #0969da } .number { font-variant-numeric: tabular-nums }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #4493f8 }
  }
"""


def chart(panels: Mapping[tuple[str, int], Mapping[str, float]], ours: str = "this project") -> str:
    """(Title, connections) → contender → requests per second, as one SVG document; longer is better."""
    parts, y = [], 12
    for (title, connections), bars in panels.items():
        heading = f"{escape(title)}, {connections} connections: requests/s"
        parts.append(f'<text class="title" x="16" y="{y + 18}">{heading}</text>')
        y += HEAD
        scale = (WIDTH - LABELS - FIGURES) / (max(bars.values()) or 1)
        for name, value in bars.items():
            kind, length = "bar ours" if name.startswith(ours) else "bar", round(value * scale)
            parts.append(
                f'<text x="{LABELS - 10}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
                f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{length}" height="{BAR}" rx="2"/>'
                f'<text class="number" x="{LABELS + length + 6}" y="{y + 13}">{value:,.0f}</text>'
            )
            y += BAR + GAP
        y += GAP
    body = "\n".join(parts)
    summary = "Requests per second of this project and its peers; the figures are in the tables."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 6}" role="img">\n'
        f"<title>{summary}</title>\n<style>{STYLE}</style>\n"
        f'<rect class="paper" width="{WIDTH}" height="{y + 6}" rx="6"/>\n{body}\n</svg>\n'
    )
