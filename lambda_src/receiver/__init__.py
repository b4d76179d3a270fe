"""The receiver function: batches of events in, packed Firehose records out."""
