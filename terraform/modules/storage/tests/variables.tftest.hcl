mock_provider "aws" {}

variables {
  encryption         = { customer_managed = false, key_arn = null }
  administrator_arns = []
  reader_account_ids = []
  writer_role_arn    = "arn:aws:iam::123456789012:role/auditlake-events"
  name               = "auditlake"
  account            = { id = "123456789012", region = "us-east-1", partition = "aws" }
  object_lock        = { enabled = true, mode = "GOVERNANCE", days = 365, years = null }
  lifecycle_days     = { glacier_ir = 90, deep_archive = null, expire = null, noncurrent = null, abort_multipart = 7, athena_results = 30 }
}

run "lifecycle_days_are_whole_days" {
  command = plan

  variables {
    lifecycle_days = { glacier_ir = 0, deep_archive = null, expire = null, noncurrent = null, abort_multipart = 7, athena_results = 30 }
  }

  expect_failures = [var.lifecycle_days]
}

run "unfinished_uploads_must_go" {
  command = plan

  variables {
    lifecycle_days = { glacier_ir = 90, deep_archive = null, expire = null, noncurrent = null, abort_multipart = null, athena_results = 30 }
  }

  expect_failures = [var.lifecycle_days]
}

run "deep_archive_comes_90_days_after_glacier_ir" {
  command = plan

  variables {
    lifecycle_days = { glacier_ir = 90, deep_archive = 179, expire = null, noncurrent = null, abort_multipart = 7, athena_results = 30 }
  }

  expect_failures = [var.lifecycle_days]
}

run "expiry_comes_after_the_last_move" {
  command = plan

  variables {
    lifecycle_days = { glacier_ir = 400, deep_archive = null, expire = 400, noncurrent = null, abort_multipart = 7, athena_results = 30 }
  }

  expect_failures = [var.lifecycle_days]
}

run "nothing_expires_before_its_retention_ends" {
  command = plan

  variables {
    lifecycle_days = { glacier_ir = 90, deep_archive = null, expire = 364, noncurrent = null, abort_multipart = 7, athena_results = 30 }
  }

  expect_failures = [var.lifecycle_days]
}

run "nothing_hidden_expires_before_its_retention_ends" {
  command = plan

  variables {
    lifecycle_days = { glacier_ir = 90, deep_archive = null, expire = null, noncurrent = 364, abort_multipart = 7, athena_results = 30 }
  }

  expect_failures = [var.lifecycle_days]
}

run "without_a_lock_events_may_expire_when_they_like" {
  command = plan

  variables {
    object_lock    = { enabled = false, mode = "GOVERNANCE", days = null, years = null }
    lifecycle_days = { glacier_ir = null, deep_archive = null, expire = 1, noncurrent = 1, abort_multipart = 7, athena_results = 30 }
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.events.rule : rule.expiration[0].days if rule.id == "expire"] == [1]
    error_message = "Without a lock no retention should stand against expiry."
  }
}

run "mode_is_governance_or_compliance" {
  command = plan

  variables {
    object_lock = { enabled = true, mode = "compliance", days = 365, years = null }
  }

  expect_failures = [var.object_lock]
}

run "retention_is_days_or_years" {
  command = plan

  variables {
    object_lock = { enabled = true, mode = "GOVERNANCE", days = 365, years = 1 }
  }

  expect_failures = [var.object_lock]
}

run "retention_is_at_least_a_day" {
  command = plan

  variables {
    object_lock = { enabled = true, mode = "GOVERNANCE", days = 0, years = null }
  }

  expect_failures = [var.object_lock]
}

run "retention_ends_within_100_years" {
  command = plan

  variables {
    object_lock = { enabled = true, mode = "GOVERNANCE", days = null, years = 101 }
  }

  expect_failures = [var.object_lock]
}

run "a_subscribing_account_has_12_digits" {
  command = plan

  variables {
    reader_account_ids = ["1234"]
  }

  expect_failures = [var.reader_account_ids]
}
