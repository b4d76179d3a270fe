mock_provider "aws" {}

variables {
  name                 = "auditlake"
  account              = { id = "123456789012", region = "us-east-1", partition = "aws" }
  api                  = { endpoint = "https://abc.execute-api.us-east-1.amazonaws.com/v1", execution_arn = "arn:aws:execute-api:us-east-1:123456789012:abc", stage = "v1", auth_mode = "iam" }
  audit_types          = ["login"]
  bucket               = { name = "auditlake-events-123456789012", arn = "arn:aws:s3:::auditlake-events-123456789012", events_prefix = "events/" }
  buffering_interval_s = 60
  canary               = { interval_min = 15 }
  canary_zip           = "../../../dist/canary.zip"
  encryption           = { customer_managed = false, key_arn = null }
  logs                 = { retention_days = 90 }
  monitoring           = { topic_arn = "arn:aws:sns:us-east-1:123456789012:auditlake-alarms", runbook_url = "docs/runbook.md" }
  results_bucket       = { name = "auditlake-athena-results-123456789012", arn = "arn:aws:s3:::auditlake-athena-results-123456789012" }
  table                = { database = "audit", name = "events", workgroup = "auditlake" }
}

run "only_an_api_that_looks_at_signatures_hears_it" {
  command = plan

  variables {
    api = { endpoint = "https://abc.execute-api.us-east-1.amazonaws.com/v1", execution_arn = "arn:aws:execute-api:us-east-1:123456789012:abc", stage = "v1", auth_mode = "cognito" }
  }

  expect_failures = [var.api]
}

run "intervals_divide_the_hour" {
  command = plan

  variables {
    canary = { interval_min = 7 }
  }

  expect_failures = [var.canary]
}

run "an_interval_is_no_shorter_than_the_buffer" {
  command = plan

  variables {
    canary               = { interval_min = 10 }
    buffering_interval_s = 900
  }

  expect_failures = [var.canary]
}

run "the_package_is_built_first" {
  command = plan

  variables {
    canary_zip = "missing.zip"
  }

  expect_failures = [var.canary_zip]
}
