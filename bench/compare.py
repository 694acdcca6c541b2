#!/usr/bin/env python3
"""Runs two benchmark programs in turns and prints the median ratio of each row: two revisions, or two compilers.

usage: compare.py [--rounds N] BEFORE AFTER [BENCHMARK_OPTION...]

Machines drift by more than most changes are worth. So the two never run long after each other: every round runs both, in the
order before, after, after, before; a row's ratio is taken within its round, and the median over the rounds is printed with the
lowest and the highest.
"""
import argparse
import json
import statistics
import subprocess


def figures(program, options):
    out = subprocess.run([program, "--benchmark_format=json", *options], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    rows = json.loads(out.stdout)["benchmarks"]
    return {row["name"]: row["real_time"] for row in rows if row.get("run_type") != "aggregate" and "error_occurred" not in row}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("before")
    parser.add_argument("after")
    arguments, options = parser.parse_known_args()
    ratios = {}
    for turn in range(arguments.rounds):
        order = (arguments.before, arguments.after) if turn % 2 == 0 else (arguments.after, arguments.before)
        times = {program: figures(program, options) for program in order}
        for name, time in times[arguments.before].items():
            if name in times[arguments.after]:
                ratios.setdefault(name, []).append(time / times[arguments.after][name])
    print("| | speed after / before | lowest | highest |\n|---|---|---|---|")
    for name, values in ratios.items():
        print(f"| {name} | {statistics.median(values):.3f} | {min(values):.3f} | {max(values):.3f} |")


main()
