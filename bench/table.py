#!/usr/bin/env python3
"""Draws the Markdown table of docs/benchmarks.md from the JSON that quanta_bench writes with --benchmark_out=FILE.

usage: table.py FILE LEVEL     a row for each format, a column for each operation, at one instruction-set level
"""
import json
import sys

OPERATIONS = {  # operation: (heading, counter, divisor)
    "encode": ("encode, M weights/s", "weights/s", 1e6),
    "encode_importance": ("with importance", "weights/s", 1e6),
    "decode": ("decode, GB/s of floats", "bytes_per_second", 1e9),
    "dot": ("dot, GFLOP/s", "FLOP/s", 1e9),
    "dot_values": ("dot with floats", "FLOP/s", 1e9),
    "gemv_memory": ("gemv from memory, GB/s of weights", "bytes_per_second", 1e9),
}


def main(path, level):
    with open(path) as file:
        runs = json.load(file)["benchmarks"]
    formats = {}
    for run in runs:
        if run.get("run_type") == "aggregate" and run.get("aggregate_name") != "median":
            continue
        parts = run["run_name"].split("/")
        if parts[0] == "limit" and (len(parts) < 3 or parts[2] == level):
            counter, unit = ("op/s", "G op/s") if "op/s" in run else ("bytes_per_second", "GB/s")
            print(f"{parts[1]}: {run[counter] / 1e9:.0f} {unit}")
        if len(parts) == 3 and parts[0] in OPERATIONS and parts[2] == level:
            formats.setdefault(parts[1], {})[parts[0]] = run
    print("\n| | " + " | ".join(heading for heading, _, _ in OPERATIONS.values()) + " |")
    print("|---" * (len(OPERATIONS) + 1) + "|")
    for name, row in formats.items():
        cells = []
        for operation, (_, counter, divisor) in OPERATIONS.items():
            run = row.get(operation)
            value = run[counter] / divisor if run else None
            cells.append("" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}")
        print(f"| {name} | " + " | ".join(cells) + " |")


if len(sys.argv) != 3:
    sys.exit(__doc__)
main(*sys.argv[1:])
