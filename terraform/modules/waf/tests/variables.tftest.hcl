mock_provider "aws" {}

variables {
  account    = { id = "123456789012", region = "us-east-1", partition = "aws" }
  encryption = { customer_managed = false, key_arn = null }
  logs       = { retention_days = 90 }
  name       = "auditlake"
  stage_arn  = "arn:aws:apigateway:us-east-1::/restapis/abc123/stages/v1"
  waf        = { requests_per_5_min = 1000, max_body_bytes = 6291456, inspected_body_kib = 16 }
}

run "a_rate_is_one_that_waf_counts" {
  command = plan

  variables {
    waf = { requests_per_5_min = 9, max_body_bytes = 6291456, inspected_body_kib = 16 }
  }

  expect_failures = [var.waf]
}

run "a_rate_is_whole_requests" {
  command = plan

  variables {
    waf = { requests_per_5_min = 1000.5, max_body_bytes = 6291456, inspected_body_kib = 16 }
  }

  expect_failures = [var.waf]
}

run "a_body_limit_is_one_that_api_gateway_takes" {
  command = plan

  variables {
    waf = { requests_per_5_min = 1000, max_body_bytes = 10485761, inspected_body_kib = 16 }
  }

  expect_failures = [var.waf]
}

run "a_body_limit_is_whole_bytes" {
  command = plan

  variables {
    waf = { requests_per_5_min = 1000, max_body_bytes = 1111111.5, inspected_body_kib = 16 }
  }

  expect_failures = [var.waf]
}

run "waf_sees_16_to_64_kib_of_a_body" {
  command = plan

  variables {
    waf = { requests_per_5_min = 1000, max_body_bytes = 6291456, inspected_body_kib = 8 }
  }

  expect_failures = [var.waf]
}
