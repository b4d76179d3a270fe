mock_provider "aws" {}

variables {
  encryption     = { customer_managed = false, key_arn = null }
  name           = "auditlake"
  account        = { id = "123456789012", region = "us-east-1", partition = "aws" }
  audit_types    = ["login", "payment"]
  bucket         = { name = "auditlake-events-123456789012", arn = "arn:aws:s3:::auditlake-events-123456789012", events_prefix = "events/" }
  results_bucket = { name = "auditlake-athena-results-123456789012", arn = "arn:aws:s3:::auditlake-athena-results-123456789012" }
  catalog        = { database = null, scan_cutoff_bytes = 10737418240, crawler_schedule = null }
  glue_dir       = "../../../glue"
}

run "the_database_has_a_name_that_athena_takes" {
  command = plan

  variables {
    catalog = { database = "audit-log", scan_cutoff_bytes = 10737418240, crawler_schedule = null }
  }

  expect_failures = [var.catalog]
}

run "the_scan_cutoff_is_at_least_10_mb" {
  command = plan

  variables {
    catalog = { database = null, scan_cutoff_bytes = 9999999, crawler_schedule = null }
  }

  expect_failures = [var.catalog]
}

run "the_crawler_runs_by_a_cron_expression" {
  command = plan

  variables {
    catalog = { database = null, scan_cutoff_bytes = 10737418240, crawler_schedule = "daily" }
  }

  expect_failures = [var.catalog]
}

run "a_partition_key_is_no_column" {
  command = plan

  variables {
    glue_dir = "tests/key_among_columns"
  }

  expect_failures = [aws_glue_catalog_table.events]
}

run "a_query_begins_with_its_question" {
  command = plan

  variables {
    glue_dir = "tests/query_without_question"
  }

  expect_failures = [aws_athena_named_query.queries["everything"]]
}
