"""A bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from rocket_assets.progress import Progress


def _shown(*, terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100)
    with Progress(console, total=3, unit="days", seconds_between_lines=0) as progress:
        progress.advance("1 launch", steps=0)
        progress.advance("2 launches")
        progress.advance("3 launches", steps=2)
    return file.getvalue()


def test_elsewhere_it_is_plain_lines_without_control_characters() -> None:
    assert _shown(terminal=False).splitlines() == [
        "0 of 3 days: 1 launch",
        "1 of 3 days: 2 launches",
        "3 of 3 days: 3 launches",
    ]


def test_on_a_terminal_it_is_a_bar_that_ends_full() -> None:
    shown = _shown(terminal=True)
    assert "3/3" in shown
    assert "3 launches" in shown
    assert "\x1b[" in shown


def test_on_a_narrow_terminal_the_text_is_cut_and_not_the_count() -> None:
    file = io.StringIO()
    with Progress(Console(file=file, force_terminal=True, width=60), total=14, unit="days") as progress:
        progress.advance("14 launches, 13 pictures (0.8 MB fetched, 0.4 MB kept), 1 API request", steps=14)
    assert "14/14" in file.getvalue()
    assert "…" in file.getvalue()
