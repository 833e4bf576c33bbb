"""Adds up the sizes of the live files of Delta tables with delta-rs, at the versions that the JSON on standard input names.

[[{"location": ..., "version": 3}, ...], ...] is a list of moments; printed is the sum of each.
"""

import json
import sys

from deltalake import DeltaTable


def balance(location, version):
    table = DeltaTable(location, version=version)
    return sum(table.get_add_actions().column("size_bytes").to_pylist())


def main():
    moments = json.load(sys.stdin)
    sums = [sum(balance(**place) for place in places) for places in moments]
    json.dump(sums, sys.stdout)


main()
