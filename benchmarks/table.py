"""README's table of speeds, from ``benchmarks/results/``: ``python -m benchmarks.table`` writes it there."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

from benchmarks.timing import RESULTS

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- speeds: python -m benchmarks.table -->\n", "<!-- end of speeds -->\n"


def table() -> str:
    """One row for all cases of a thing for which a ratio was asked, then the machines.

    The ratio is the median over cases of their medians; beside it the least and the largest of these or, of a
    single case, its quartiles.
    """
    records = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    records = [record for record in records if record.get("rows")]
    groups: dict[tuple[str, str, str], list[dict]] = {}
    for record in records:
        for row in filter(lambda row: row["asked"], record["rows"]):
            groups.setdefault((row["what"], row["against"], row["asked"]), []).append(row["ratio"])
    lines = ["| what | against | times faster | from – to | cases | asked |", "|---|---|---|---|---|---|"]
    for (what, against, asked), ratios in groups.items():
        middle = [each["times"] for each in ratios]
        ends = (ratios[0]["low"], ratios[0]["high"]) if len(ratios) == 1 else (min(middle), max(middle))
        spread = f"{ends[0]:.3g} – {ends[1]:.3g}" if ends[0] < ends[1] else "–"
        cells = (what, against, f"{median(middle):.3g}", spread, str(len(ratios)), asked)
        lines.append(f"| {' | '.join(cells)} |")
    machines = dict.fromkeys(
        f"{each['processor']} ({each['instructions']}), torch {each['torch']}, commit `{each['commit']}`"
        for each in records
    )
    return "\n".join([*lines, "", f"Measured on {'; '.join(machines)}.", ""])


def inserted(text: str) -> str:
    """A text with the table between its marks."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}{table()}{END}{after}"


if __name__ == "__main__":
    README.write_text(inserted(README.read_text("utf-8")), "utf-8")
