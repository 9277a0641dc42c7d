"""Draws the results as SVG.

``python -m benchmarks --save results.json``, then
``python -m benchmarks.chart results.json docs/throughput.svg``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import msgspec
from matplotlib.figure import Figure

OURS: Final = "#1f6feb"
OTHERS: Final = "#9aa4b2"
OUR_NAMES: Final = frozenset({"whole import", "our sending alone"})
STYLE: Final[dict[Any, Any]] = {
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "benchmarks",
}


def throughput(result: dict[str, Any]) -> Figure:
    """A bar for each contestant, the fastest on top, labelled with its rate."""
    rates = {name: figures["messages_per_s"] for name, figures in result["contestants"].items()}
    names = sorted(rates, key=lambda name: rates[name])
    figure = Figure(figsize=(8, 0.45 * len(names) + 1.3), layout="constrained")
    axes = figure.subplots()
    colors = [OURS if name in OUR_NAMES else OTHERS for name in names]
    bars = axes.barh(names, [rates[name] for name in names], color=colors)
    axes.bar_label(bars, fmt="{:,.0f}", padding=4)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_xticks([])
    axes.margins(x=0.12)
    axes.set_title("Messages per second on one core", loc="left", fontweight="bold")
    axes.set_xlabel(caption(result), loc="left", fontsize=8, color="#57606a")
    return figure


def caption(result: dict[str, Any]) -> str:
    """Where and how the figures were taken."""
    machine = result["machine"]
    return (
        f"{machine['cpu']}, {machine['system'].split('-')[0]}, Python {machine['python']}, "
        f"{result['loop']}; median of {result['runs']} runs. python -m benchmarks.throughput"
    )


def main() -> None:
    """Read the results, write the chart."""
    source, target = map(Path, sys.argv[1:3])
    results = msgspec.json.decode(source.read_bytes(), type=dict[str, Any])
    with mpl.rc_context(STYLE):
        throughput(results["throughput"]).savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
