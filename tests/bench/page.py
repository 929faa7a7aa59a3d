#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make docs/performance.md and its plots from what was measured, and from performance.md.in.

page.py RESULTS PAGE: RESULTS is results.jsonl of run.py; the plots go to the directory of PAGE's
name. Of the template everything stays as it is but {{...}}, which is one of

    machine                      what was measured, where and when
    table GROUP                  a group of fipc-bench; static/GROUP: of fipc-bench-static
    points GROUP [QUANTITY]      a plot: a mark for each contender
    lines GROUP [PREFIX]         a plot: a line for each contender, across its quantities that
                                 begin so
    claim GROUP QUANTITY FACTOR  whether ours takes no more than FACTOR times the best peer that
                                 bears its owner's death
    scale, scale_plot            fipcd with crowds
    slower ... end               where peers are better, in this run; between the two a line for
                                 each reason: GROUP | CONTENDER | QUANTITY | why. The first three
                                 are patterns of fnmatch, and the first line that fits is taken

A group that was measured and has no table is an error, and so is the other way round.
"""
import fnmatch
import json
import pathlib
import re
import subprocess
import sys
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from pages import Record, machine_table, table  # noqa: E402

TEMPLATE = pathlib.Path(__file__).resolve().parent / "performance.md.in"
PROGRAMS = "build-test/tests/bench/"
NOTICED = 1.02  # less of a difference is none
UNKNOWN = "not known yet"


class Results:
    """What run.py has written."""

    def __init__(self, path: pathlib.Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        records: List[Record] = [json.loads(line) for line in lines]
        self.machine = next(r for r in records if r["kind"] == "machine")
        self.skipped = [r for r in records if r["kind"] == "skipped"]
        self.scale = [r for r in records if r["kind"] == "scale"]
        self.counts = {(r["group"], r["contender"]): r for r in records
                       if r["kind"] == "instructions" and r["index"] == 0}
        self.groups: Dict[str, List[Record]] = {}
        self.shown: List[str] = []
        for r in records:
            if r["kind"] == "bench":
                prefix = "" if r["linked"] == "shared" else "static/"
                self.groups.setdefault(prefix + r["group"], []).append(r)

    def group(self, name: str) -> List[Record]:
        if name not in self.groups:
            fail(f"no such group was measured: {name}")
        return self.groups[name]

    def quantity(self, group: str, quantity: str) -> List[Record]:
        found = [r for r in self.group(group) if r["quantity"] == quantity]
        return found or fail(f"{group} has no such quantity: {quantity}")


def fail(why: str) -> Any:
    sys.exit(f"page.py: {TEMPLATE.name}: {why}")


def unique(values: Iterable[str]) -> List[str]:
    return list(dict.fromkeys(values))


# ---- text ----

def figure(x: float) -> str:
    """Three digits or so, without an exponent."""
    if x >= 100:
        return f"{x:,.0f}"
    return f"{x:.2f}" if x >= 1 else f"{x:.3g}" if x >= 0.001 else f"{x:.5f}"


def spread(quartiles: Optional[List[float]]) -> str:
    if not quartiles:
        return "not to be had"
    low, median, high = map(figure, quartiles)
    return f"{median} ({low} to {high})"


def command(line: str) -> str:
    """As one types it."""
    words = [PROGRAMS + word if word.startswith("fipc-") else word for word in line.split()]
    return f"`{' '.join(words)}`"


def machine(results: Results, _: str) -> str:
    text = machine_table(results.machine)
    for left_out in results.skipped:
        text += f"\n\nLeft out: {left_out['what']}, because {left_out['why']}."
    if not any(r["contender"].startswith("Boost") for r in results.group("alone")):
        text += "\n\nLeft out: Boost.Interprocess, because it is not there."
    return text


def single_table(group: List[Record], counts: List[Optional[Record]]) -> str:
    """Of one quantity: with ratios, and with instructions if some were counted."""
    head = ["", f"{group[0]['unit']}, median (quartiles)", f"{group[0]['contender']} is × this"]
    rows = [[r["contender"], spread(r["quartiles"]), spread(r["fipc_is_times_this"])]
            for r in group]
    rows[0][2] = ""
    if any(counts):
        head.append("instructions")
        for row, count in zip(rows, counts):
            row.append(f"{count['instructions']:.0f}" if count else "")
    return table(head, rows)


def matrix_table(group: List[Record]) -> str:
    units = {r["quantity"]: r["unit"] for r in group}
    cells = {(r["contender"], r["quantity"]): spread(r["quartiles"]) for r in group}
    rows = [[c] + [cells[c, q] for q in units] for c in unique(r["contender"] for r in group)]
    return table([""] + [f"{q}, {unit}" for q, unit in units.items()], rows)


def group_table(results: Results, name: str) -> str:
    group = results.group(name)
    results.shown.append(name)
    commands = [command(group[0]["command"])]
    if group[0]["quantity"]:
        text = matrix_table(group)
    else:
        counts = [results.counts.get((name, r["contender"])) for r in group]
        text = single_table(group, counts)
        commands += unique(command(count["command"]) for count in counts if count)
    title = group[0]["title"]
    return (f"**{title[0].upper()}{title[1:]}**\n\n{text}\n\n"
            f"{group[0]['repetitions']} repetitions of {', and '.join(commands)}")


def scale_table(results: Results, _: str) -> str:
    columns = {
        "objects": "objects", "processes": "processes", "fipcd starts, ms": "start_ms",
        "CPU time, ms": "start_cpu_ms", "a death, p50, ms": "death_p50_ms",
        "p99, ms": "death_p99_ms", "the longest, ms": "death_most_ms",
        "`fipcctl list`, ms": "list_ms", "fipcd's CPU time, ms": "list_cpu_ms",
        "fipcd's memory, KiB": "memory_kib",
    }
    rows = [[figure(r[key]) for key in columns.values()] for r in results.scale]
    commands = "\n".join(f"- {command(r['command'])}" for r in results.scale)
    return f"{table(list(columns), rows)}\n\n{commands}"


def claim(results: Results, arguments: str) -> str:
    group, *quantity, factor = arguments.split()
    ours, *others = results.quantity(group, " ".join(quantity))
    peers = [r for r in others if r["recovers"]]
    best = min(peers, key=lambda r: r["quartiles"][1])
    times = best["fipc_is_times_this"][1]
    rows = [[r["contender"], spread(r["quartiles"]), spread(r["fipc_is_times_this"])]
            for r in peers]
    rows.insert(0, [ours["contender"], spread(ours["quartiles"]), ""])
    verdict = "It holds" if times <= float(factor) else "**It does not hold**"
    return (f"{table(['', ours['quantity'] + ', ' + ours['unit'], 'fipc is × this'], rows)}\n\n"
            f"{verdict} in this run: fipc takes {figure(times)} times as long as the best of them, "
            f"{best['contender']}.")


# ---- where peers are better ----

def times_better(r: Record) -> float:
    """By what factor a peer is better; 1 unless it is in three of four repetitions."""
    ratio = r["fipc_is_times_this"]
    if not ratio or 0 in ratio or r["contender"].startswith("fipc"):
        return 1
    low, median, _ = ratio if r["better"] == "less" else [1 / x for x in reversed(ratio)]
    return median if low > 1 and median > NOTICED else 1


def reason(r: Record, reasons: List[List[str]]) -> str:
    for *patterns, why in reasons:
        if all(map(fnmatch.fnmatchcase, (r["group"], r["contender"], r["quantity"]), patterns)):
            return why
    return UNKNOWN


def slower(results: Results, text: str) -> str:
    reasons = [[part.strip() for part in line.split("|")] for line in text.strip().splitlines()]
    found: Dict[Tuple[str, str], Dict[str, List[str]]] = {}
    for name, group in results.groups.items():
        for r in filter(lambda r: times_better(r) > 1, group):
            peers = found.setdefault((name, reason(r, reasons)), {})
            by = f"{r['quantity']} {figure(times_better(r))} ×".strip()
            peers.setdefault(r["contender"], []).append(by)
    unexplained = [f"{name}: {', '.join(peers)}" for (name, why), peers in found.items()
                   if why == UNKNOWN]
    if unexplained and not results.machine["quick"]:
        print(f"page.py: it is not said why these are better: {'; '.join(unexplained)}",
              file=sys.stderr)
    rows = [[f"`{name}`", "; ".join(f"**{who}** {', '.join(by)}" for who, by in peers.items()), why]
            for (name, why), peers in found.items()]
    return table(["group", "who, and by how much", "why"], rows, "---") if rows else "Nowhere."


# ---- plots ----

class Plots:
    """Drawn by gnuplot, all at once in the end, in a directory beside the page."""

    def __init__(self, page: pathlib.Path) -> None:
        self.directory = page.with_suffix("")
        self.script = ""

    def add(self, name: str, title: str, height: int, script: str) -> str:
        path = self.directory / f"{name}.svg"
        self.script += f"""
            reset
            set terminal svg size 800,{height} background 'white' font 'sans-serif,12'
            set output '{path}'
            set termoption noenhanced
            set grid xtics ytics lt 1 lc rgb '#dddddd'
            set border 3
            set tics nomirror
            {script}
            set output
        """
        return f"![{title}]({self.directory.name}/{path.name})"

    def draw(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for old in self.directory.glob("*.svg"):
            old.unlink()
        script = "\n".join(line.strip() for line in self.script.splitlines())
        if subprocess.run(["gnuplot"], input=script, text=True).returncode != 0:
            sys.exit("page.py: gnuplot failed: see above")


def slug(*words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def data_block(name: str, rows: List[List[Any]]) -> str:
    return f"${name} << EOD\n" + "".join(" ".join(map(str, row)) + "\n" for row in rows) + "EOD\n"


def tics(labels: Iterable[str], step: int = 1) -> str:
    return "(" + ", ".join(f"'{label}' {step * i}" for i, label in enumerate(labels)) + ")"


def points(results: Results, arguments: str, plots: Plots) -> str:
    name, _, quantity = arguments.partition(" ")
    group = [r for r in results.quantity(name, quantity) if r["quartiles"]]
    kinds: Dict[str, List[List[Any]]] = {}
    for i, r in enumerate(group):
        low, median, high = r["quartiles"]
        kinds.setdefault(kind_of(r, group), []).append([median, -i, low, high])
    blocks = [data_block(f"kind{k}", rows) for k, rows in enumerate(kinds.values())]
    marks = [f"$kind{k} using 1:2:3:4 with xerrorbars pt 7 ps 0.8 lw 2 lc rgb '{COLOURS[title]}' "
             f"title '{title}'" for k, title in enumerate(kinds)]
    what = f"{quantity}, " if quantity else ""
    script = f"""
        set logscale x
        set format x '%g'
        set yrange [{-len(group) + 0.4}:0.6]
        set ytics {tics((r["contender"] for r in group), -1)}
        set xlabel '{what}{group[0]["unit"]}: median and quartiles'
        set key outside top center horizontal
    """ + "\n" + "".join(blocks) + "plot " + ", ".join(marks) + "\n"
    title = group[0]["title"] + (f": {quantity}" if quantity else "")
    return plots.add(slug(name, quantity), title, 130 + 24 * len(group), script)


COLOURS = {"fipc": "#c0392b", "bears a death": "#2471a3", "does not": "#7f8c8d",
           "others": "#7f8c8d"}


def kind_of(r: Record, group: List[Record]) -> str:
    """A title of its colour."""
    if r["contender"].startswith("fipc"):
        return "fipc"
    if r["recovers"]:
        return "bears a death"
    return "does not" if any(other["recovers"] for other in group) else "others"


PALETTE = ["#c0392b", "#2471a3", "#1e8449", "#b7950b", "#7d3c98", "#17a589", "#7f8c8d", "#ca6f1e",
           "#5d6d7e", "#000000", "#a569bd", "#85929e"]


def line_plot(columns: List[str], series: Dict[str, List[Optional[float]]], labels: str) -> str:
    blocks, marks = [], []
    for i, (title, values) in enumerate(series.items()):
        rows = [[x, "NaN" if value is None else value] for x, value in enumerate(values)]
        blocks.append(data_block(f"series{i}", rows))
        marks.append(f"$series{i} using 1:2 with linespoints pt {5 + 2 * (i % 5)} lw 2 "
                     f"lc rgb '{PALETTE[i]}' title '{title}'")
    return f"""
        set logscale y
        set format y '%g'
        set xtics {tics(columns)}
        set xrange [-0.2:{len(columns) - 0.8}]
        set key outside right top
        {labels}
    """ + "\n" + "".join(blocks) + "plot " + ", ".join(marks) + "\n"


def lines(results: Results, arguments: str, plots: Plots) -> str:
    name, _, prefix = arguments.partition(" ")
    group = [r for r in results.group(name) if r["quantity"].startswith(prefix)]
    columns = unique(r["quantity"] for r in group)
    medians = {(r["contender"], r["quantity"]): r["quartiles"] and r["quartiles"][1]
               for r in group}
    series = {c: [medians[c, q] for q in columns] for c in unique(r["contender"] for r in group)}
    label = ", ".join(filter(None, [prefix, group[0]["unit"]]))
    script = line_plot([c[len(prefix):].strip() for c in columns], series,
                       f"set ylabel '{label}: median'")
    return plots.add(slug(name, prefix), group[0]["title"], 400, script)


def scale_plot(results: Results, _: str, plots: Plots) -> str:
    titles = {"fipcd starts": "start_ms", "fipcctl list": "list_ms",
              "a death, p50": "death_p50_ms", "a death, p99": "death_p99_ms"}
    series = {title: [r[key] for r in results.scale] for title, key in titles.items()}
    script = line_plot([f"{r['objects']:,}" for r in results.scale], series,
                       "set xlabel 'objects'; set ylabel 'ms'")
    return plots.add("scale", "fipcd with crowds", 400, script)


# ---- the page ----

TEXTS: Dict[str, Callable[[Results, str], str]] = {
    "machine": machine, "table": group_table, "scale": scale_table, "claim": claim,
}
DRAWINGS: Dict[str, Callable[[Results, str, Plots], str]] = {
    "points": points, "lines": lines, "scale_plot": scale_plot,
}


def fill(results: Results, plots: Plots, what: str, arguments: str) -> str:
    if what in DRAWINGS:
        return DRAWINGS[what](results, arguments, plots)
    return TEXTS[what](results, arguments) if what in TEXTS else fail(f"what is {{{{{what}}}}}?")


def make(results: Results, plots: Plots) -> str:
    text = re.sub(r"\{\{slower\}\}(.*?)\{\{end\}\}", lambda m: slower(results, m[1]),
                  TEMPLATE.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"\{\{(\w+) ?([^}]*)\}\}", lambda m: fill(results, plots, m[1], m[2]), text)
    forgotten = set(results.groups) - set(results.shown)
    return fail(f"there is no table of {', '.join(sorted(forgotten))}") if forgotten else text


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    results, page = map(pathlib.Path, sys.argv[1:])
    plots = Plots(page)
    text = make(Results(results), plots)
    plots.draw()
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
