"""Draws the results as SVG, and prints the tables of ``docs/performance.md`` in Markdown.

``python -m benchmarks --save results.json``, then
``python -m benchmarks.chart results.json docs/throughput.svg``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import msgspec
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS: Final = "#1f6feb"
OTHERS: Final = "#9aa4b2"
OUR_NAMES: Final = frozenset({"whole import", "whole import, own clock", "our sending alone"})
STYLE: Final[dict[Any, Any]] = {
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "benchmarks",
}


def throughput(axes: Axes, lanes: dict[str, Any]) -> None:
    """A bar for each contestant of the first conditions, the fastest on top, with its rate."""
    name, lane = next(iter(lanes.items()))
    rates = {who: figures["messages_per_s"] for who, figures in lane["contestants"].items()}
    names = sorted(rates, key=lambda name: rates[name])
    colors = [OURS if name in OUR_NAMES else OTHERS for name in names]
    bars = axes.barh(names, [rates[name] for name in names], color=colors)
    axes.bar_label(bars, fmt="{:,.0f}", padding=4)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_xticks([])
    axes.margins(x=0.12)
    axes.set_title("Messages per second on one core", loc="left", fontweight="bold")
    axes.set_xlabel(name)


def cost(axes: Axes, over: str, points: dict[str, Any]) -> None:
    """What a message costs over more and more of something."""
    numbers = [int(number) for number in points]
    costs = [figures["cpu_us_per_message"] for figures in points.values()]
    axes.plot(numbers, costs, marker="o", color=OURS)
    for number, its in zip(numbers, costs, strict=True):
        axes.annotate(f"{its:,.0f}", (number, its), (0, 6), textcoords="offset points", ha="center")
    axes.set_xscale("log")
    axes.set_ylim(0, max(costs) * 1.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("CPU µs per message", loc="left", fontweight="bold")
    axes.set_xlabel(over)


def picture(results: dict[str, Any]) -> Figure:
    """The rates, and below them what a message costs."""
    figure = Figure(figsize=(8, 8.5), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 2))
    throughput(figure.add_subplot(grid[0, :]), results["throughput"]["lanes"])
    scaling = results["scaling"]
    records = f"locations, {scaling['records_over_locations']:,} records"
    cost(figure.add_subplot(grid[1, 0]), records, scaling["over_locations"])
    cost(figure.add_subplot(grid[1, 1]), "records", scaling["over_records"])
    figure.supxlabel(caption(results), x=0.01, ha="left", fontsize=8, color="#57606a")
    return figure


def caption(results: dict[str, Any]) -> str:
    """Where and how the figures were taken."""
    runs, machine = results["throughput"]["runs"], results["throughput"]["machine"]
    return (
        f"{machine['cpu']}, {machine['system'].split('-')[0]}, Python {machine['python']}; rates "
        f"are medians of {runs} runs; costs on {results['scaling']['server']}. python -m benchmarks"
    )


def markdown(rows: dict[str, dict[str, Any]]) -> str:
    """A table: a line for each row, a column for each figure of any."""
    columns = list(dict.fromkeys(name for figures in rows.values() for name in figures))
    lines = [["", *(name.replace("_", " ") for name in columns)], ["---"] * (len(columns) + 1)]
    for row, figures in rows.items():
        cells = (figures.get(name, "") for name in columns)
        lines.append([row, *(f"{its:,}" if its != "" else "" for its in cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables(results: dict[str, Any]) -> str:
    """Each under its heading, as far as it was measured."""
    found: dict[str, dict[str, Any]] = {}
    for lane, figures in (results.get("throughput") or {"lanes": {}})["lanes"].items():
        found[f"{lane}; server's ceiling {figures['server_ceiling']:,}/s"] = figures["contestants"]
    if scaling := results.get("scaling"):
        one = {"one contact": scaling["one_contact"]}
        found[f"Locations, {scaling['server']}"] = scaling["over_locations"] | one
        found[f"Records, {scaling['server']}"] = scaling["over_records"]
    if paced := results.get("paced"):
        peer = {"bare aiohttp loop": paced["bare_aiohttp_loop"]}
        found["Paced, granian"] = {"whole import": paced["whole_import"]} | peer
    if submitting := results.get("submitting"):
        for callers, ways in submitting["callers"].items():
            found[f"Submitting, {callers}, {submitting['server']}"] = ways
    if commands := results.get("commands"):
        its = commands["seconds"]
        found[f"Commands, {commands['sent']:,} sent, {commands['failed']:,} failed"] = {
            name: {"seconds": took} for name, took in its.items()
        }
    if stages := results.get("stages"):
        its = stages["cpu_us_per_message"]
        found["Stages"] = {name: {"cpu_us": figure} for name, figure in its.items()}
    return "\n\n".join(f"### {title}\n\n{markdown(rows)}" for title, rows in found.items())


def main() -> None:
    """Read the results, print the tables, write the chart."""
    source, target = map(Path, sys.argv[1:3])
    results = msgspec.json.decode(source.read_bytes(), type=dict[str, Any])
    print(tables(results))
    with mpl.rc_context(STYLE):
        picture(results).savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
