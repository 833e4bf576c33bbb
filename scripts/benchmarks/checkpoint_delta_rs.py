"""Opens a Delta table with delta-rs and makes a checkpoint of it; prints seconds and megabytes."""

import json
import resource
import sys
from time import perf_counter

from deltalake import DeltaTable

start = perf_counter()
table = DeltaTable(sys.argv[1])
opened = perf_counter()
table.create_checkpoint()
done = perf_counter()
print(
    json.dumps(
        {
            "openSeconds": opened - start,
            "checkpointSeconds": done - opened,
            "peakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        }
    )
)
