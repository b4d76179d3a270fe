mock_provider "aws" {}

variables {
  encryption     = { customer_managed = false, key_arn = null }
  name           = "auditlake"
  account        = { id = "123456789012", region = "us-east-1", partition = "aws" }
  kinesis_source = { stream_mode = "ON_DEMAND", shard_count = null, retention_hours = 168 }
}

run "the_mode_is_one_of_kinesis" {
  command = plan

  variables {
    kinesis_source = { stream_mode = "on-demand", shard_count = null, retention_hours = 24 }
  }

  expect_failures = [var.kinesis_source]
}

run "on_demand_takes_no_shards" {
  command = plan

  variables {
    kinesis_source = { stream_mode = "ON_DEMAND", shard_count = 2, retention_hours = 24 }
  }

  expect_failures = [var.kinesis_source]
}

run "provisioned_needs_shards" {
  command = plan

  variables {
    kinesis_source = { stream_mode = "PROVISIONED", shard_count = null, retention_hours = 24 }
  }

  expect_failures = [var.kinesis_source]
}

run "shards_are_whole" {
  command = plan

  variables {
    kinesis_source = { stream_mode = "PROVISIONED", shard_count = 1.5, retention_hours = 24 }
  }

  expect_failures = [var.kinesis_source]
}

run "there_is_at_least_a_shard" {
  command = plan

  variables {
    kinesis_source = { stream_mode = "PROVISIONED", shard_count = 0, retention_hours = 24 }
  }

  expect_failures = [var.kinesis_source]
}

run "a_day_is_the_least" {
  command = plan

  variables {
    kinesis_source = { stream_mode = "ON_DEMAND", shard_count = null, retention_hours = 23 }
  }

  expect_failures = [var.kinesis_source]
}

run "a_year_is_the_most" {
  command = plan

  variables {
    kinesis_source = { stream_mode = "ON_DEMAND", shard_count = null, retention_hours = 8761 }
  }

  expect_failures = [var.kinesis_source]
}

run "a_year_is_taken" {
  command = plan

  variables {
    kinesis_source = { stream_mode = "PROVISIONED", shard_count = 1, retention_hours = 8760 }
  }

  assert {
    condition     = aws_kinesis_stream.source.retention_period == 8760
    error_message = "A year should be taken."
  }
}
