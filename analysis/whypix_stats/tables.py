"""Tables of results as aligned text, CSV or Markdown."""
from __future__ import annotations

import csv
import io
import math
import numbers
from dataclasses import dataclass, field
from typing import Sequence


@dataclass
class Table:
    """What is printed: a title, rows under columns, and notes that a reader needs to understand the numbers."""
    title: str
    columns: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *row: object) -> None:
        if len(row) != len(self.columns):
            raise ValueError(f"table '{self.title}': got a row of {len(row)}, want {len(self.columns)} columns")
        self.rows.append(row)

    def note(self, text: str) -> None:
        """Said once, however often it applies."""
        if text not in self.notes:
            self.notes.append(text)


def is_undefined(x: object) -> bool:
    return x is None or (isinstance(x, numbers.Real) and math.isnan(x))


def shown(x: object) -> str:
    """Four decimals; three digits where that would show nothing; '-' for what is undefined."""
    if is_undefined(x):
        return "-"
    if isinstance(x, (bool, str)) or isinstance(x, numbers.Integral):
        return str(x)
    if not isinstance(x, numbers.Real):
        return str(x)
    return f"{x:.3g}" if x and not 1e-3 <= abs(x) < 1e5 else f"{x:.4f}"


def as_text(table: Table) -> str:
    """Numbers to the right, words to the left."""
    cells = [[shown(x) for x in row] for row in table.rows]
    widths = [max(len(line[i]) for line in [list(table.columns), *cells]) for i in range(len(table.columns))]
    right = [any(isinstance(row[i], numbers.Real) for row in table.rows) for i in range(len(table.columns))]

    def line(texts: Sequence[str]) -> str:
        return "  ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in zip(texts, widths, right)).rstrip()

    head = [table.title, line(table.columns), "-" * (sum(widths) + 2 * (len(widths) - 1))]
    return "\n".join(head + [line(row) for row in cells] + [f"  {note}" for note in table.notes]) + "\n"


def as_markdown(table: Table) -> str:
    def line(texts: Sequence[str]) -> str:
        return "| " + " | ".join(t.replace("|", "\\|") for t in texts) + " |"

    lines = [f"**{table.title}**", "", line(table.columns), "|" + " --- |" * len(table.columns)]
    lines += [line([shown(x) for x in row]) for row in table.rows]
    return "\n".join(lines + [""] + [f"{note}  " for note in table.notes]) + "\n"


def as_csv(table: Table) -> str:
    """All digits; empty where undefined; title and notes as comments, so that several tables fit in one file."""
    out = io.StringIO()
    out.write(f"# {table.title}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([["" if is_undefined(x) else x for x in row] for row in table.rows])
    out.writelines(f"# {note}\n" for note in table.notes)
    return out.getvalue()


FORMATS = {"text": as_text, "csv": as_csv, "markdown": as_markdown}
