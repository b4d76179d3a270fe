"""The transform: Firehose hands it records of events, it answers with rows and partition keys."""
