#!/usr/bin/env python3
"""Draws docs/plots/*.svg from the JSON that quanta_bench writes: the speed of a packed product over tokens and over columns.

usage: plot.py FILE LEVEL DIRECTORY     needs gnuplot
"""
import json
import pathlib
import re
import subprocess
import sys

SETTINGS = """set terminal svg size 720,400 font 'sans-serif,13' background '#ffffff'
set output '{output}'
set grid lc rgb '#dddddd'
set logscale x 2
set xlabel '{axis}'
set ylabel 'GFLOP/s, one thread'
set yrange [0:*]
set key bottom right
set title '{title}'
"""


def points(path, level):
    """{(format, rows, columns, tokens): FLOP/s, the best of repetitions} for one thread"""
    with open(path) as file:
        runs = json.load(file)["benchmarks"]
    found = {}
    for run in runs:
        name = re.fullmatch(r"gemm/([^/]+)/([^/]+)/(\d+)x(\d+)/tokens:(\d+)/threads:1(/real_time)?", run["run_name"])
        if name and name[2] == level and "FLOP/s" in run:
            key = (name[1], int(name[3]), int(name[4]), int(name[5]))
            found[key] = max(run["FLOP/s"], found.get(key, 0))
    return found


def draw(output, axis, title, series):
    blocks = "".join(f"${index} << EOD\n" + "\n".join(f"{x} {y / 1e9}" for x, y in sorted(line)) + "\nEOD\n"
                     for index, (_, line) in enumerate(series)).replace("$", "$series")
    plots = ", ".join(f"$series{index} using 1:2 with linespoints pt 7 ps 0.5 lw 2 title '{name}'" for index, (name, _) in enumerate(series))
    script = SETTINGS.format(output=output, axis=axis, title=title) + blocks + f"plot {plots}\n"
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def main(path, level, directory):
    found = points(path, level)
    place = pathlib.Path(directory)
    place.mkdir(parents=True, exist_ok=True)
    over_tokens = [(tokens, y) for (form, rows, columns, tokens), y in found.items() if (form, rows, columns) == ("q4_K", 4096, 4096)]
    draw(place / "gemm_tokens.svg", "tokens", f"q4_K, 4096 x 4096, {level}", [("q4_K", over_tokens)])
    over_columns = [(f"{wanted} tokens" if wanted > 1 else "1 token",
                     [(columns, y) for (form, rows, columns, tokens), y in found.items() if (form, rows, tokens) == ("q4_K", 4096, wanted)])
                    for wanted in (1, 64)]
    draw(place / "gemm_columns.svg", "columns", f"q4_K, 4096 rows, {level}", over_columns)


if len(sys.argv) != 4:
    sys.exit(__doc__)
main(*sys.argv[1:])
