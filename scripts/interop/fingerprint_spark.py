"""Reads folders of Delta tables with Spark, as the JSON on standard input asks, and prints what it finds.

The arguments are the packages that Spark is to load, and the folder that it keeps them in.
"""

import hashlib
import json
import os
import sys

from pyspark.sql import SparkSession
from pyspark.sql.functions import struct, to_json

SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    # Most tables are years old, and so are their versions.
    "spark.databricks.delta.vacuum.enforceTimeTravelWithinDeletedFileRetentionDuration": "false",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Tables are small and many: what it takes to compile a query, or to divide it, is never won back.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


def open_spark(packages, folder):
    builder = SparkSession.builder.master("local[2]").appName("round-trip")
    builder = builder.config("spark.jars.packages", packages)
    builder = builder.config("spark.jars.ivy", folder)
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def reason_of(error):
    """The innermost cause is what went wrong; those around it say where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("An error occurred while")]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    return causes[-1] if causes else (lines or [repr(error)])[0]


def read_version(spark, location, version):
    found = {"version": version}
    try:
        reader = spark.read.format("delta").option("versionAsOf", version)
        table = reader.load(location)
        found["schema"] = table.schema.json()
        rows = [row[0] for row in table.select(to_json(struct("*"))).collect()]
        text = "".join(f"{row}\n" for row in sorted(rows))
        found["hash"] = hashlib.sha256(text.encode()).hexdigest()
        return {**found, "rows": len(rows)}
    except Exception as error:
        return {**found, "error": reason_of(error)}


def newest_of(spark, location):
    try:
        logs = spark._jvm.org.apache.spark.sql.delta.DeltaLog
        return logs.forTable(spark._jsparkSession, location).update(
            False, spark._jvm.scala.Option.empty(), spark._jvm.scala.Option.empty()
        ).version()
    except Exception as error:
        return reason_of(error)


def main():
    packages, folder = sys.argv[1:]
    # What the JVM prints must not come between.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    spark = open_spark(packages, folder)
    found = []
    for asked in json.load(sys.stdin):
        location = asked["location"]
        versions = [
            read_version(spark, location, version) for version in asked["versions"]
        ]
        found.append({"newest": newest_of(spark, location), "versions": versions})
        # Logs of tables are kept in memory, thousands of files of them.
        spark.catalog.clearCache()
    json.dump(found, answer)
    answer.close()
    spark.stop()


main()
