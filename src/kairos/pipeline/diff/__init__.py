"""Two versions of a table beside each other: rows, schema, columns, in memory that does not grow with the tables."""
