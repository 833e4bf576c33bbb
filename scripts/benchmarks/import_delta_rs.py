"""Opens a Delta table with delta-rs, makes a checkpoint of it if asked to, and prints what that took."""

import json
import resource
import sys
from time import perf_counter

from deltalake import DeltaTable

start = perf_counter()
table = DeltaTable(sys.argv[1])
opened = perf_counter()
files = len(table.file_uris())
if "checkpoint" in sys.argv[2:]:
    table.create_checkpoint()
print(
    json.dumps(
        {
            "openSeconds": opened - start,
            "files": files,
            "peakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        }
    )
)
