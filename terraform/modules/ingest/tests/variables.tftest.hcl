mock_provider "aws" {}

variables {
  name         = "auditlake"
  account      = { id = "123456789012", region = "us-east-1", partition = "aws" }
  stream       = { name = "auditlake-events", arn = "arn:aws:firehose:us-east-1:123456789012:deliverystream/auditlake-events" }
  auth         = { mode = "iam", cognito_user_pool_arns = [], cognito_scopes = [] }
  ingest       = { mode = "direct", packing = true, rate_limit = 500, burst_limit = 500, minimum_compression_size = 1024 }
  logs         = { retention_days = 90, own_api_gateway_settings = false }
  receiver_zip = "versions.tf" # any file that exists
}

run "auth_mode_is_one_that_is_implemented" {
  command = plan

  variables {
    auth = { mode = "none", cognito_user_pool_arns = [], cognito_scopes = [] }
  }

  expect_failures = [var.auth]
}

run "cognito_needs_a_user_pool" {
  command = plan

  variables {
    auth = { mode = "cognito", cognito_user_pool_arns = [], cognito_scopes = ["audit/write"] }
  }

  expect_failures = [var.auth]
}

run "iam_takes_no_scopes" {
  command = plan

  variables {
    auth = { mode = "iam", cognito_user_pool_arns = [], cognito_scopes = ["audit/write"] }
  }

  expect_failures = [var.auth]
}

run "user_pools_are_arns" {
  command = plan

  variables {
    auth = { mode = "cognito", cognito_user_pool_arns = ["us-east-1_abcdefghi"], cognito_scopes = [] }
  }

  expect_failures = [var.auth]
}

run "ingest_mode_is_direct_or_receiver" {
  command = plan

  variables {
    ingest = { mode = "lambda", packing = true, rate_limit = 500, burst_limit = 500, minimum_compression_size = 1024 }
  }

  expect_failures = [var.ingest]
}

run "rate_limit_lets_something_through" {
  command = plan

  variables {
    ingest = { mode = "direct", packing = true, rate_limit = 0, burst_limit = 500, minimum_compression_size = 1024 }
  }

  expect_failures = [var.ingest]
}

run "burst_limit_is_within_the_account" {
  command = plan

  variables {
    ingest = { mode = "direct", packing = true, rate_limit = 500, burst_limit = 5001, minimum_compression_size = 1024 }
  }

  expect_failures = [var.ingest]
}

run "minimum_compression_size_is_within_the_range" {
  command = plan

  variables {
    ingest = { mode = "direct", packing = true, rate_limit = 500, burst_limit = 500, minimum_compression_size = -1 }
  }

  expect_failures = [var.ingest]
}

run "retention_days_is_one_that_cloudwatch_offers" {
  command = plan

  variables {
    logs = { retention_days = 100, own_api_gateway_settings = false }
  }

  expect_failures = [var.logs]
}

run "a_missing_package_is_named" {
  command = plan

  variables {
    receiver_zip = "dist/receiver.zip"
  }

  expect_failures = [var.receiver_zip]
}
