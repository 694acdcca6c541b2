#!/usr/bin/env python3
"""Draws the Markdown tables of docs/benchmarks.md from the JSON that quanta_bench writes with --benchmark_out=FILE.

usage: table.py FILE LEVEL     operations on rows, then packed products; a row for each format, at one instruction-set level

Cells: the figure, the share of the machine's limit in the same run, and where the file has rows of ggml, how many times ggml's
figure it is (of its two ways to multiply matrices the better one).
"""
import json
import statistics
import sys

OPERATIONS = {  # operation: (heading, counter, divisor)
    "encode": ("encode, M weights/s", "weights/s", 1e6),
    "encode_importance": ("with importance", "weights/s", 1e6),
    "encode_memory": ("encode from memory", "weights/s", 1e6),
    "decode": ("decode, GB/s of floats", "bytes/s", 1e9),
    "decode_f16": ("to f16, GB/s", "bytes/s", 1e9),
    "decode_bf16": ("to bf16, GB/s", "bytes/s", 1e9),
    "decode_memory": ("decode to memory, GB/s", "bytes/s", 1e9),
    "dot": ("dot, GFLOP/s", "FLOP/s", 1e9),
    "gemv": ("gemv of rows, GFLOP/s", "FLOP/s", 1e9),
    "dot_values": ("dot with floats", "FLOP/s", 1e9),
    "gemv_memory": ("gemv from memory, GB/s", "bytes/s", 1e9),
    "gemv_memory/threads:2": ("2 threads", "bytes/s", 1e9),
}


def read(path):
    """{(operation, format, level, the rest of the name): counters}, medians over repetitions"""
    with open(path) as file:
        runs = [run for run in json.load(file)["benchmarks"] if run.get("run_type") != "aggregate" and "error_occurred" not in run]
    grouped = {}
    for run in runs:
        parts = run["run_name"].removesuffix("/real_time").split("/")
        operation, form, level, rest = parts[0], *(parts[1:3] + ["", ""])[:2], "/".join(parts[3:])
        grouped.setdefault((operation, form, level, rest), []).append(run)
    counters = {}
    for key, same in grouped.items():
        names = [name for name, value in same[0].items() if isinstance(value, float)]
        counters[key] = {name: statistics.median(run[name] for run in same) for name in names}
    return counters


def number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def cell(rows, operation, form, level, rest, counter, divisor):
    row = rows.get((operation, form, level, rest))
    if row is None:
        return ""
    text = number(row[counter] / divisor)
    if row.get("%limit"):
        text += f" ({row['%limit']:.0f} %)"
    peers = [rows[key][counter] for name in ("ggml", "ggml_repack") if (key := (operation, form, name, rest)) in rows]
    return text + (f" {row[counter] / max(peers):.2f}x" if peers else "")


def table(headings, formats, cells):
    if not formats:
        return
    print("\n| | " + " | ".join(headings) + " |\n" + "|---" * (len(headings) + 1) + "|")
    for form in formats:
        print(f"| {form} | " + " | ".join(cells(form)) + " |")


def main(path, level):
    rows = read(path)
    for (operation, form, limit_level, _), row in rows.items():
        if operation == "limit" and limit_level in ("", level, "threads:1", "threads:2"):
            counter, unit = ("op/s", "G op/s") if "op/s" in row else ("bytes/s", "GB/s")
            print(f"{form} {limit_level}: {row[counter] / 1e9:.0f} {unit}")

    def with_operation(wanted):
        return list(dict.fromkeys(form for operation, form, at, _ in rows if operation in wanted and at == level))

    def row_cells(form):
        for operation, (_, counter, divisor) in OPERATIONS.items():
            name, _, rest = operation.partition("/")
            yield cell(rows, name, form, level, rest, counter, divisor)

    table([heading for heading, _, _ in OPERATIONS.values()], with_operation({"encode", "decode", "dot"}), row_cells)
    shapes = list(dict.fromkeys(rest for operation, _, at, rest in rows if operation == "gemm" and at == level))
    common = [shape for shape in shapes if shape.startswith("4096x4096/") and shape.split(":")[1].split("/")[0] in ("1", "8", "64", "512")]
    table([f"{shape.split('/')[1]}, GFLOP/s" for shape in common] + ["pack, GB/s"], with_operation({"gemm"}),
          lambda form: [cell(rows, "gemm", form, level, shape, "FLOP/s", 1e9) for shape in common]
          + [cell(rows, "pack", form, level, "", "bytes/s", 1e9)])
    others = [shape for shape in shapes if shape not in common]
    if others:
        print("\n| shape of q4_K | GFLOP/s | GB/s of weights |\n|---|---|---|")
        for shape in others:
            row = ("gemm", "q4_K", level, shape)
            print(f"| {shape} | {cell(rows, *row, 'FLOP/s', 1e9)} | {rows[row]['bytes/s'] / 1e9:.1f} |")


if len(sys.argv) != 3:
    sys.exit(__doc__)
main(*sys.argv[1:])
