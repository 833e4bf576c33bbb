"""Reads a Delta table with delta-rs, as the JSON on standard input asks, and prints what it finds."""

import json
import sys
from datetime import date, datetime, timezone
from decimal import Decimal

from deltalake import DeltaTable, QueryBuilder

SQL_TYPES = {
    "boolean": "BOOLEAN",
    "date": "DATE",
    "double": "DOUBLE",
    "integer": "INTEGER",
    "long": "BIGINT",
    "string": "VARCHAR",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
}


def query(table, sql):
    batches = QueryBuilder().register("t", table).execute(sql)
    return batches.read_all()


def to_json(value, data_type):
    """The value as the demo writes it: what JSON cannot hold exactly is text."""
    if value is None:
        return None
    if data_type == "long":
        return str(value)
    if isinstance(value, datetime):
        utc = value.astimezone(timezone.utc)
        return utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return value


def read_version(table):
    columns = json.loads(table.schema().to_json())["fields"]
    found = query(table, "SELECT * FROM t")
    names = found.column_names
    by_name = {
        column["name"]: [
            to_json(value, column["type"])
            for value in found.column(column["name"]).to_pylist()
        ]
        for column in columns
    }
    rows = [
        {name: by_name[name][index] for name in names}
        for index in range(found.num_rows)
    ]
    return {"version": table.version(), "columns": columns, "rows": rows}


def count(table, probe):
    sql_type = SQL_TYPES.get(probe["type"], probe["type"])
    value = str(probe["value"]).replace("'", "''")
    sql = f"""SELECT count(*) AS n FROM t WHERE "{probe['column']}" = CAST('{value}' AS {sql_type})"""
    return query(table, sql).column("n").to_pylist()[0]


def main():
    asked = json.load(sys.stdin)
    location = asked["location"]
    newest = DeltaTable(location)
    history = sorted(newest.history(), key=lambda commit: commit["version"])
    answer = {
        "newest": read_version(newest),
        "operations": [commit["operation"] for commit in history],
        "versions": [
            read_version(DeltaTable(location, version=version))
            for version in asked["versions"]
        ],
        "probeCounts": [count(newest, probe) for probe in asked["probes"]],
    }
    json.dump(answer, sys.stdout)


main()
