"""Data that a schema cannot describe: lines of logs and of imports, and table schemas that Delta knows."""

import json
import re
from pathlib import Path

import schemathesis
from hypothesis import strategies as st

texts = st.text(max_size=20)
longs = st.integers(min_value=-(2**63), max_value=2**63 - 1)
flags = st.booleans()
maybe_null = st.none() | texts

add = st.fixed_dictionaries(
    {
        "path": texts,
        "partitionValues": st.just({}) | st.dictionaries(st.just("day"), maybe_null),
        "size": longs | st.integers(0, 10**6),
        "modificationTime": st.integers(0, 2**42),
        "dataChange": flags,
    },
    optional={"stats": maybe_null | st.just('{"numRecords": 1}'), "unknown": longs},
)
remove = st.fixed_dictionaries(
    {"path": texts, "dataChange": flags},
    optional={"deletionTimestamp": longs, "extendedFileMetadata": flags},
)
txn = st.fixed_dictionaries({"appId": texts, "version": longs})
domain = st.fixed_dictionaries(
    {"domain": texts, "configuration": texts, "removed": flags}
)
actions = st.one_of(
    add.map(lambda body: {"add": body}),
    remove.map(lambda body: {"remove": body}),
    txn.map(lambda body: {"txn": body}),
    domain.map(lambda body: {"domainMetadata": body}),
    st.dictionaries(texts, longs, max_size=2).map(lambda body: {"commitInfo": body}),
    st.dictionaries(texts, texts, min_size=1, max_size=1),
)
lines = st.lists(actions.map(json.dumps) | texts, max_size=5).map("\n".join)


def words(name):
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


viewed = words("viewed.txt")
views = st.lists(st.sampled_from(viewed), min_size=1, max_size=3, unique=True).map(
    lambda some: {"tables": some}
)
views_of_transactions = st.fixed_dictionaries(
    {"tables": st.just(viewed), "transactionId": st.sampled_from(words("transactions.txt"))}
)


entry = st.fixed_dictionaries(
    {"key": texts, "value": longs | texts},
    optional={"metadata": st.dictionaries(texts, longs, max_size=2), "ttlMs": longs},
)
entries = st.lists(entry.map(json.dumps) | texts, max_size=5).map("\n".join)


@schemathesis.serializer("application/x-ndjson")
def serialize_lines(ctx, value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="replace")


TYPES = [
    "long",
    "string",
    "date",
    "decimal(10,2)",
    "timestamp",
    "timestamp_ntz",
    "variant",
]


def field(number, data_type, nullable):
    name = f"column_{number}"
    return {"name": name, "type": data_type, "nullable": nullable, "metadata": {}}


def has_names(body):
    """Whether tables are named in the right shape. What is wrong with them must not be mended."""
    names = body.get("tables")
    return isinstance(names, list) and names != [] and all(map(is_name, names))


def is_name(value):
    return isinstance(value, str) and 0 < len(value) <= 255 and "\0" not in value


def is_view(body):
    """Whether a view is asked for in the right shape, be it of tables that are not there or at two moments at once."""
    shapes = {
        "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
        "transactionId": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    }
    moments = {name: value for name, value in body.items() if name != "tables"}
    return has_names(body) and all(
        isinstance(value, str) and re.fullmatch(shapes.get(name, "(?!)"), value)
        for name, value in moments.items()
    )


def within_limit(body):
    """The same with a wait that the server allows, where it is one of the right shape."""
    wait = body.get("waitMs")
    return {**body, "waitMs": 100} if type(wait) is int and wait > 100 else body


takes_lines = {
    "POST /tables/{id}/commits",
    "PUT /transactions/{id}/tables/{tableId}",
    "POST /transactions/{id}/tables/{tableId}/actions",
}

columns = st.tuples(st.sampled_from(TYPES), flags)
schemas = st.lists(columns, min_size=1, max_size=5).map(
    lambda all: {
        "type": "struct",
        "fields": [field(number, *column) for number, column in enumerate(all)],
    }
)


@schemathesis.hook
def flatmap_body(ctx, body):
    """Lines become lines of a log, and most definitions of tables get a schema of Delta's.

    All else stays as it was made, for what is wrong in it is there to be refused.
    """
    label = ctx.operation.label
    if label in takes_lines and isinstance(body, str):
        return lines
    if label == "POST /state/{namespace}/import" and isinstance(body, str):
        return entries
    if label == "POST /snapshots" and isinstance(body, dict) and is_view(body):
        return views | views_of_transactions | st.just(body)
    if label == "POST /transactions/{id}/reserve" and isinstance(body, dict):
        if has_names(body):
            patient = within_limit(body)
            return views.map(lambda view: {**patient, **view}) | st.just(body)
    if label == "POST /tables" and isinstance(body, dict):
        if isinstance(body.get("schema"), dict):
            defined = schemas.map(lambda schema: {**body, "schema": schema})
            return defined | st.just(body)
    return st.just(body)
