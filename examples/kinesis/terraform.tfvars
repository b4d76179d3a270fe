# A Kinesis data stream takes the events and keeps them for a week, whatever becomes of Firehose; others can read along.
kinesis_source = { retention_hours = 168 }

# A trial: the lock lets go of events after a day, and nobody is called at night.
object_lock = { mode = "GOVERNANCE", days = 1 }
alarms      = { enabled = false }
