mock_provider "aws" {}

variables {
  encryption    = { customer_managed = false, key_arn = null }
  name          = "auditlake"
  account       = { id = "123456789012", region = "us-east-1", partition = "aws" }
  audit_types   = ["login", "payment"]
  event_window  = { days_back = 7, days_ahead = 1 }
  buffering     = { size_mib = 128, interval_s = 60 }
  bucket        = { name = "auditlake-events-123456789012", arn = "arn:aws:s3:::auditlake-events-123456789012", events_prefix = "events/", errors_prefix = "errors/" }
  table         = { database = "audit", name = "events", partition_keys = ["audit_type", "year", "month", "day"] }
  logs          = { retention_days = 90 }
  transform_zip = "versions.tf" # any file that exists
}

run "the_least_that_firehose_takes_is_taken" {
  command = plan

  variables {
    buffering = { size_mib = 64, interval_s = 60 }
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].buffering_size == 64 && aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].buffering_interval == 60
    error_message = "64 MiB and 60 s should be taken."
  }
}

run "the_most_that_firehose_takes_is_taken" {
  command = plan

  variables {
    buffering = { size_mib = 128, interval_s = 900 }
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].buffering_size == 128 && aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].buffering_interval == 900
    error_message = "128 MiB and 900 s should be taken."
  }
}

run "audit_types_are_not_empty" {
  command = plan

  variables {
    audit_types = []
  }

  expect_failures = [var.audit_types]
}

run "audit_types_fit_into_keys" {
  command = plan

  variables {
    audit_types = ["login", "a/b"]
  }

  expect_failures = [var.audit_types]
}

run "audit_types_are_distinct" {
  command = plan

  variables {
    audit_types = ["login", "login"]
  }

  expect_failures = [var.audit_types]
}

run "audit_types_leave_other_out" {
  command = plan

  variables {
    audit_types = ["login", "other"]
  }

  expect_failures = [var.audit_types]
}

run "errors_do_not_lie_among_events" {
  command = plan

  variables {
    bucket = { name = "b", arn = "arn:aws:s3:::b", events_prefix = "events/", errors_prefix = "events/errors/" }
  }

  expect_failures = [var.bucket]
}

run "prefixes_end_with_a_slash" {
  command = plan

  variables {
    bucket = { name = "b", arn = "arn:aws:s3:::b", events_prefix = "events/", errors_prefix = "errors" }
  }

  expect_failures = [var.bucket]
}

run "buffering_size_is_at_least_64" {
  command = plan

  variables {
    buffering = { size_mib = 63, interval_s = 60 }
  }

  expect_failures = [var.buffering]
}

run "buffering_size_is_at_most_128" {
  command = plan

  variables {
    buffering = { size_mib = 129, interval_s = 60 }
  }

  expect_failures = [var.buffering]
}

run "buffering_interval_is_at_least_60" {
  command = plan

  variables {
    buffering = { size_mib = 128, interval_s = 59 }
  }

  expect_failures = [var.buffering]
}

run "buffering_interval_is_at_most_900" {
  command = plan

  variables {
    buffering = { size_mib = 128, interval_s = 901 }
  }

  expect_failures = [var.buffering]
}

run "event_window_is_not_negative" {
  command = plan

  variables {
    event_window = { days_back = -1, days_ahead = 1 }
  }

  expect_failures = [var.event_window]
}

run "event_window_is_whole_days" {
  command = plan

  variables {
    event_window = { days_back = 1.5, days_ahead = 1 }
  }

  expect_failures = [var.event_window]
}

run "a_missing_package_is_named" {
  command = plan

  variables {
    transform_zip = "dist/transform.zip"
  }

  expect_failures = [var.transform_zip]
}

run "there_is_a_partition_key" {
  command = plan

  variables {
    table = { database = "audit", name = "events", partition_keys = [] }
  }

  # The guard of the prefix itself speaks up as well; both are the stream's.
  expect_failures = [aws_kinesis_firehose_delivery_stream.events]
}

run "there_are_at_most_50_partition_keys" {
  command = plan

  variables {
    table = { database = "audit", name = "events", partition_keys = [
      "k01", "k02", "k03", "k04", "k05", "k06", "k07", "k08", "k09", "k10", "k11", "k12", "k13", "k14", "k15", "k16", "k17",
      "k18", "k19", "k20", "k21", "k22", "k23", "k24", "k25", "k26", "k27", "k28", "k29", "k30", "k31", "k32", "k33", "k34",
      "k35", "k36", "k37", "k38", "k39", "k40", "k41", "k42", "k43", "k44", "k45", "k46", "k47", "k48", "k49", "k50", "k51",
    ] }
  }

  expect_failures = [aws_kinesis_firehose_delivery_stream.events]
}

run "nobody_can_open_more_than_500_partitions" {
  command = plan

  variables {
    event_window = { days_back = 166, days_ahead = 0 } # 167 days of 3 types
  }

  expect_failures = [aws_kinesis_firehose_delivery_stream.events]
}

run "exactly_500_partitions_are_fine" {
  command = plan

  variables {
    audit_types  = ["login", "logout", "payment"]
    event_window = { days_back = 124, days_ahead = 0 } # 125 days of 4 types
  }

  assert {
    condition     = local.partitions == 500
    error_message = "125 days of 4 types should make 500 partitions."
  }
}

run "prefixes_are_within_1024_characters" {
  command = plan

  variables {
    bucket = { name = "b", arn = "arn:aws:s3:::b", events_prefix = "events/", errors_prefix = join("", [
      "errors/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
      "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345",
      "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345",
      "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345",
      "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345",
      "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345",
      "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345",
      "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345/",
    ]) }
  }

  expect_failures = [aws_kinesis_firehose_delivery_stream.events]
}

run "the_error_prefix_holds_no_partition_keys" {
  command = plan

  variables {
    bucket = { name = "b", arn = "arn:aws:s3:::b", events_prefix = "events/", errors_prefix = "errors/!{partitionKeyFromLambda:year}/" }
  }

  expect_failures = [aws_kinesis_firehose_delivery_stream.events]
}

run "the_prefix_takes_no_keys_from_a_query" {
  command = plan

  variables {
    bucket = { name = "b", arn = "arn:aws:s3:::b", events_prefix = "events/!{partitionKeyFromQuery:tenant}/", errors_prefix = "errors/" }
  }

  expect_failures = [aws_kinesis_firehose_delivery_stream.events]
}
