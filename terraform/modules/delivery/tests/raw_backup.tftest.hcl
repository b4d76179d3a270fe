mock_provider "aws" {}

variables {
  encryption    = { customer_managed = false, key_arn = null }
  name          = "auditlake"
  account       = { id = "123456789012", region = "us-east-1", partition = "aws" }
  audit_types   = ["login", "payment"]
  event_window  = { days_back = 7, days_ahead = 1 }
  buffering     = { size_mib = 128, interval_s = 60 }
  bucket        = { name = "auditlake-events-123456789012", arn = "arn:aws:s3:::auditlake-events-123456789012", events_prefix = "events/", errors_prefix = "errors/", raw_prefix = "raw/" }
  table         = { database = "audit", name = "events", partition_keys = ["audit_type", "year", "month", "day"] }
  logs          = { retention_days = 90 }
  transform_zip = "versions.tf" # any file that exists
}

run "records_are_stored_as_they_came" {
  command = plan

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].s3_backup_mode == "Enabled"
    error_message = "Source backup should be on."
  }

  assert {
    condition     = [for backup in aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].s3_backup_configuration : "${backup.bucket_arn} ${backup.prefix} ${backup.compression_format}"] == ["arn:aws:s3:::auditlake-events-123456789012 raw/ GZIP"]
    error_message = "Raw records should lie compressed under a prefix of their own."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.stream.policy, "arn:aws:s3:::auditlake-events-123456789012/raw/*")
    error_message = "The stream's role should be able to write there."
  }
}

run "a_key_of_the_account_encrypts_raw_records_too" {
  command = plan

  variables {
    encryption = { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/1" }
  }

  assert {
    condition     = [for backup in aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].s3_backup_configuration : backup.kms_key_arn] == ["arn:aws:kms:us-east-1:123456789012:key/1"]
    error_message = "The key should be the bucket's."
  }
}

run "there_is_no_backup_by_default" {
  command = plan

  variables {
    bucket = { name = "auditlake-events-123456789012", arn = "arn:aws:s3:::auditlake-events-123456789012", events_prefix = "events/", errors_prefix = "errors/" }
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].s3_backup_mode == null && !strcontains(aws_iam_role_policy.stream.policy, "raw/")
    error_message = "Without a prefix for it nothing should be stored twice."
  }
}

run "raw_records_do_not_lie_among_events" {
  command = plan

  variables {
    bucket = { name = "auditlake-events-123456789012", arn = "arn:aws:s3:::auditlake-events-123456789012", events_prefix = "events/", errors_prefix = "errors/", raw_prefix = "events/raw/" }
  }

  expect_failures = [var.bucket]
}
