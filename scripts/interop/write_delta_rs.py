"""Writes to a Delta table with delta-rs, as the JSON on standard input asks, and prints the ids that it then finds.

{"location": ..., "append": [[1, 2], [3]]} appends one commit for each list of ids; the table is made where there is none.
"""

import json
import sys

from arro3.core import Array, DataType, Table
from deltalake import DeltaTable, QueryBuilder, write_deltalake


def append(location, ids):
    rows = Table.from_pydict({"id": Array(ids, DataType.int64())})
    write_deltalake(location, rows, mode="append")


def read(location):
    table = DeltaTable(location)
    sql = "SELECT id FROM t ORDER BY id"
    rows = QueryBuilder().register("t", table).execute(sql).read_all()
    return {"version": table.version(), "ids": rows.column("id").to_pylist()}


def main():
    asked = json.load(sys.stdin)
    refusal = None
    try:
        for ids in asked["append"]:
            append(asked["location"], ids)
    except Exception as error:
        refusal = str(error)
    json.dump({"refusal": refusal, **read(asked["location"])}, sys.stdout)


main()
