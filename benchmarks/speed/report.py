"""Ratios as a line, a table and a picture."""

from __future__ import annotations

from html import escape

from benchmarks.speed.cases import CASES

ROW, LEFT, WIDE, RIGHT = 22, 420, 440, 150  # pixels of the picture
REACHED, MISSED, FREE = "#0072B2", "#D55E00", "#56B4E9"  # blue where the ratio is reached, vermilion where it is not


def line(name: str, one: dict) -> str:
    """One case in the terminal."""
    return f"{name:24} {_seconds(one['plain']):>9} → {_seconds(one['ours']):>9}   {one['ratio']:.2f}{_aim(name)}"


def _seconds(time: float) -> str:
    return f"{time:.1f} s" if time >= 1 else f"{1000 * time:.1f} ms"


def _aim(name: str) -> str:
    most = CASES[name].most
    return f" (aim: {most:.2g})" if most else ""


def markdown(found: dict[str, dict]) -> str:
    """A line for each case."""
    lines = ["# Speed beside the plain way", "",
             "A step of training, unless it says otherwise, the plain way (`benchmarks/speed/plain.py`) and this "
             "project's, in turn in one process on all cores; the ratio is the median over rounds of ours to the plain "
             "one's, with its quartiles. Operations are multiplications and additions of one step. Of our time, "
             "the share that the operations would take at the rate that a large float32 product reaches, and the share "
             "that what every call reads and writes would take at the rate of a large copy, both measured beside the "
             "case: the nearer to 100 %, the more it is this that limits. (What stays in a cache is read faster: the "
             "second may be more than all.) Peak memory is that of a process of its own above what Python and torch "
             "take.", "",
             "![Ratios](speed.svg)", "",
             "| case | | plain | ours | ratio | aim | operations, 10⁹ | of the matrix rate | of the bandwidth "
             "| peak memory, MB |", "|---|---|---|---|---|---|---|---|---|---|"]
    for name, one in found.items():
        most, memory = CASES[name].most, one["megabytes"]
        lines.append(
            f"| `{name}` | {CASES[name].title} | {_seconds(one['plain'])} | {_seconds(one['ours'])} | "
            f"**{one['ratio']:.2f}** ({one['low']:.2f} to {one['high']:.2f}) | {f'{most:.2g}' if most else ''} | "
            f"{_billions(one['effort'])} | {_share(one, 'operations')} | {_share(one, 'bytes')} | "
            f"{' → '.join(f'{memory[way]:.0f}' for way in memory)} |")
    return "\n".join(lines) + "\n"


def _billions(effort: dict[str, dict]) -> str:
    return " → ".join(f"{asked['operations'] / 1e9:.3g}" for asked in effort.values() if asked["operations"])


def _share(one: dict, of: str) -> str:
    """What of our time the device would need for what is asked of it, at its own rate."""
    return f"{one['effort']['ours'][of] / one['rates'][of] / one['ours']:.0%}" if one["effort"] else ""


def picture(found: dict[str, dict]) -> str:
    """A bar for each case, as SVG: ours as a share of the plain way's time, with the ratio to reach as a mark."""
    height, scale = ROW * (len(found) + 2), WIDE / max([1.0, *(one["ratio"] for one in found.values())])
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDE + RIGHT}" height="{height}" '
             'font-family="sans-serif" font-size="12">', f'<rect width="100%" height="{height}" fill="white"/>',
             f'<text x="{LEFT}" y="15">time of a step, the plain way = 1; the mark is the aim</text>',
             f'<line x1="{LEFT + scale:.1f}" x2="{LEFT + scale:.1f}" y1="{ROW}" y2="{height - ROW}" stroke="#888"/>']
    for row, (name, one) in enumerate(found.items(), start=1):
        top, most = ROW * row, CASES[name].most
        colour = FREE if most is None else REACHED if one["ratio"] <= most else MISSED
        parts += [f'<text x="{LEFT - 8}" y="{top + 15}" text-anchor="end">{escape(CASES[name].title)}</text>',
                  f'<rect x="{LEFT}" y="{top + 4}" width="{scale * one["ratio"]:.1f}" height="{ROW - 8}" '
                  f'fill="{colour}"/>',
                  f'<text x="{LEFT + WIDE + 10}" y="{top + 15}">{one["ratio"]:.2f}'
                  f'{"" if most is None or one["ratio"] <= most else ", not reached"}</text>']
        if most:
            parts.append(f'<line x1="{LEFT + scale * most:.1f}" x2="{LEFT + scale * most:.1f}" y1="{top + 1}" '
                         f'y2="{top + ROW - 1}" stroke="black" stroke-width="2"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"
