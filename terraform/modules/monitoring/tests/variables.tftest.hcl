mock_provider "aws" {}

variables {
  name                 = "auditlake"
  account              = { id = "123456789012", region = "us-east-1", partition = "aws" }
  api                  = { name = "auditlake", stage = "v1" }
  buffering_interval_s = 60
  bucket               = { name = "auditlake-events-123456789012", errors_prefix = "errors/" }
  encryption           = { customer_managed = false, key_arn = null }
  functions = {
    receiver  = { name = "auditlake-receiver", timeout_s = 29 }
    transform = { name = "auditlake-transform", timeout_s = 120 }
  }
  stream    = { name = "auditlake-events" }
  workgroup = "auditlake"
}

run "topic_arn_is_the_arn_of_a_topic" {
  command = plan

  variables {
    alarms = {
      enabled    = true, topic_arn = "pager", email = null, runbook_url = "docs/runbook.md", freshness_s = 900, give_up_s = 21600
      partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  expect_failures = [var.alarms]
}

run "a_topic_is_of_the_stacks_region" {
  command = plan

  variables {
    alarms = {
      enabled    = true, topic_arn = "arn:aws:sns:eu-west-1:123456789012:pager", email = null, runbook_url = "docs/runbook.md", freshness_s = 900, give_up_s = 21600
      partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  expect_failures = [var.alarms]
}

run "an_address_belongs_to_the_topic_that_is_made" {
  command = plan

  variables {
    alarms = {
      enabled    = true, topic_arn = "arn:aws:sns:us-east-1:123456789012:pager", email = "ops@example.com", runbook_url = "docs/runbook.md", freshness_s = 900, give_up_s = 21600
      partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  expect_failures = [var.alarms]
}

run "the_warning_comes_before_the_page" {
  command = plan

  variables {
    alarms = {
      enabled    = true, topic_arn = null, email = null, runbook_url = "docs/runbook.md", freshness_s = 30000, give_up_s = 21600
      partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  expect_failures = [var.alarms]
}

run "the_page_comes_before_the_loss" {
  command = plan

  variables {
    alarms = {
      enabled    = true, topic_arn = null, email = null, runbook_url = "docs/runbook.md", freshness_s = 900, give_up_s = 86400
      partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  expect_failures = [var.alarms]
}

run "partitions_are_fewer_than_the_limit" {
  command = plan

  variables {
    alarms = {
      enabled    = true, topic_arn = null, email = null, runbook_url = "docs/runbook.md", freshness_s = 900, give_up_s = 21600
      partitions = 500, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  expect_failures = [var.alarms]
}

run "rates_are_portions" {
  command = plan

  variables {
    alarms = {
      enabled    = true, topic_arn = null, email = null, runbook_url = "docs/runbook.md", freshness_s = 900, give_up_s = 21600
      partitions = 400, client_errors = 5, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  expect_failures = [var.alarms]
}

run "latency_is_less_than_the_timeout" {
  command = plan

  variables {
    alarms = {
      enabled    = true, topic_arn = null, email = null, runbook_url = "docs/runbook.md", freshness_s = 900, give_up_s = 21600
      partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 29000, timeout_portion = 0.8
    }
  }

  expect_failures = [var.alarms]
}

run "the_warning_comes_after_the_wait_that_every_event_has" {
  command = plan

  variables {
    alarms = {
      enabled    = true, topic_arn = null, email = null, runbook_url = "docs/runbook.md", freshness_s = 60, give_up_s = 21600
      partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  expect_failures = [var.alarms]
}
