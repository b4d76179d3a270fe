"""The transform function: Firehose records in, rows with partition keys out."""
