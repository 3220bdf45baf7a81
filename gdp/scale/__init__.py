"""Beyond one machine: partitioned output and Spark."""
