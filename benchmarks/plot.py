"""The plot of how the cost grows. matplotlib comes with the extra `bench`, so nothing but `make bench` needs this."""

from __future__ import annotations

from pathlib import Path

from benchmarks.report import GROWING, growth
from benchmarks.results import Results

_STYLES = {"ours": "#0b5cad", "alone": "#b3541e"}


def plot(results: Results, path: Path) -> None:
    """What a day costs and how much memory all of them need, by the number of days, as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # The same figures give the same file; letters stay letters.
    mpl.rcParams.update({"svg.hashsalt": "rocket_assets", "svg.fonttype": "none", "font.size": 11})
    figure = Figure(figsize=(10, 4.2), facecolor="white", layout="constrained")
    of_time, of_memory = figure.subplots(1, 2)
    for who in GROWING:
        points = growth(results, who)
        days = [days for days, _ in points]
        name = who.split()[0]
        style = {"color": _STYLES[name], "marker": "o", "linestyle": "-" if who == name else "--", "label": who}
        of_time.plot(days, [row.middle("cpu") * 1000 / number for number, row in points], **style)
        of_memory.plot(days, [row.middle("megabytes") for _, row in points], **style)
    for axes, title in (
        (of_time, "CPU a day, which is a partition, in ms"),
        (of_memory, "Memory at most, in MB"),
    ):
        axes.set(title=title, xlabel="days in one backfill", xscale="log", ylim=(0, None))
        axes.xaxis.set_major_formatter(lambda days, _: f"{days:,.0f}")
        axes.grid(color="#dddddd")
        axes.legend(frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})
