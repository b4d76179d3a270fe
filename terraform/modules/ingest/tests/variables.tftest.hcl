mock_provider "aws" {}

variables {
  encryption   = { customer_managed = false, key_arn = null }
  name         = "auditlake"
  account      = { id = "123456789012", region = "us-east-1", partition = "aws" }
  stream       = { name = "auditlake-events", arn = "arn:aws:firehose:us-east-1:123456789012:deliverystream/auditlake-events" }
  auth         = { mode = "iam", cognito_user_pool_arns = [], cognito_scopes = [], jwt = null }
  ingest       = { mode = "direct", packing = true, rate_limit = 500, burst_limit = 500, minimum_compression_size = 1024 }
  logs         = { retention_days = 90, own_api_gateway_settings = false }
  receiver_zip = "versions.tf" # any file that exists

  access         = { account_ids = [], cidrs = [], vpc_endpoint_ids = [] }
  authorizer_zip = "versions.tf"
  domain         = null
  usage_plan     = null
}

run "auth_mode_is_one_that_is_implemented" {
  command = plan

  variables {
    auth = { mode = "none", cognito_user_pool_arns = [], cognito_scopes = [], jwt = null }
  }

  expect_failures = [var.auth]
}

run "cognito_needs_a_user_pool" {
  command = plan

  variables {
    auth = { mode = "cognito", cognito_user_pool_arns = [], cognito_scopes = ["audit/write"], jwt = null }
  }

  expect_failures = [var.auth]
}

run "iam_takes_no_scopes" {
  command = plan

  variables {
    auth = { mode = "iam", cognito_user_pool_arns = [], cognito_scopes = ["audit/write"], jwt = null }
  }

  expect_failures = [var.auth]
}

run "user_pools_are_arns" {
  command = plan

  variables {
    auth = { mode = "cognito", cognito_user_pool_arns = ["us-east-1_abcdefghi"], cognito_scopes = [], jwt = null }
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

run "jwt_needs_its_settings" {
  command = plan

  variables {
    auth = { mode = "jwt", cognito_user_pool_arns = [], cognito_scopes = [], jwt = null }
  }

  expect_failures = [var.auth]
}

run "iam_takes_no_settings_of_jwt" {
  command = plan

  variables {
    auth = { mode = "iam", cognito_user_pool_arns = [], cognito_scopes = [], jwt = { issuer = "https://issuer.example", audiences = ["audit"], jwks_url = null, required_claims = {}, required_scopes = [], principal_claim = "sub", clock_skew_s = 60, result_ttl_s = 300 } }
  }

  expect_failures = [var.auth]
}

run "an_issuer_is_an_https_url" {
  command = plan

  variables {
    auth = { mode = "jwt", cognito_user_pool_arns = [], cognito_scopes = [], jwt = { issuer = "http://issuer.example", audiences = ["audit"], jwks_url = null, required_claims = {}, required_scopes = [], principal_claim = "sub", clock_skew_s = 60, result_ttl_s = 300 } }
  }

  expect_failures = [var.auth]
}

run "jwt_needs_an_audience" {
  command = plan

  variables {
    auth = { mode = "jwt", cognito_user_pool_arns = [], cognito_scopes = [], jwt = { issuer = "https://issuer.example", audiences = [], jwks_url = null, required_claims = {}, required_scopes = [], principal_claim = "sub", clock_skew_s = 60, result_ttl_s = 300 } }
  }

  expect_failures = [var.auth]
}

run "keys_come_by_https" {
  command = plan

  variables {
    auth = { mode = "jwt", cognito_user_pool_arns = [], cognito_scopes = [], jwt = { issuer = "https://issuer.example", audiences = ["audit"], jwks_url = "http://issuer.example/keys", required_claims = {}, required_scopes = [], principal_claim = "sub", clock_skew_s = 60, result_ttl_s = 300 } }
  }

  expect_failures = [var.auth]
}

run "somebody_is_the_principal" {
  command = plan

  variables {
    auth = { mode = "jwt", cognito_user_pool_arns = [], cognito_scopes = [], jwt = { issuer = "https://issuer.example", audiences = ["audit"], jwks_url = null, required_claims = {}, required_scopes = [], principal_claim = "", clock_skew_s = 60, result_ttl_s = 300 } }
  }

  expect_failures = [var.auth]
}

run "clock_skew_is_bounded" {
  command = plan

  variables {
    auth = { mode = "jwt", cognito_user_pool_arns = [], cognito_scopes = [], jwt = { issuer = "https://issuer.example", audiences = ["audit"], jwks_url = null, required_claims = {}, required_scopes = [], principal_claim = "sub", clock_skew_s = 301, result_ttl_s = 300 } }
  }

  expect_failures = [var.auth]
}

run "answers_are_kept_for_an_hour_at_most" {
  command = plan

  variables {
    auth = { mode = "jwt", cognito_user_pool_arns = [], cognito_scopes = [], jwt = { issuer = "https://issuer.example", audiences = ["audit"], jwks_url = null, required_claims = {}, required_scopes = [], principal_claim = "sub", clock_skew_s = 60, result_ttl_s = 3601 } }
  }

  expect_failures = [var.auth]
}

run "the_authorizer_is_built_first" {
  command = plan

  variables {
    auth           = { mode = "jwt", cognito_user_pool_arns = [], cognito_scopes = [], jwt = { issuer = "https://issuer.example", audiences = ["audit"], jwks_url = null, required_claims = {}, required_scopes = [], principal_claim = "sub", clock_skew_s = 60, result_ttl_s = 300 } }
    authorizer_zip = "dist/authorizer.zip"
  }

  expect_failures = [var.authorizer_zip]
}

run "accounts_have_12_digits" {
  command = plan

  variables {
    access = { account_ids = ["1234"], cidrs = [], vpc_endpoint_ids = [] }
  }

  expect_failures = [var.access]
}

run "accounts_are_known_by_signatures_only" {
  command = plan

  variables {
    auth   = { mode = "jwt", cognito_user_pool_arns = [], cognito_scopes = [], jwt = { issuer = "https://issuer.example", audiences = ["audit"], jwks_url = null, required_claims = {}, required_scopes = [], principal_claim = "sub", clock_skew_s = 60, result_ttl_s = 300 } }
    access = { account_ids = ["210987654321"], cidrs = [], vpc_endpoint_ids = [] }
  }

  expect_failures = [var.access]
}

run "networks_are_in_cidr_notation" {
  command = plan

  variables {
    access = { account_ids = [], cidrs = ["203.0.113.7-9"], vpc_endpoint_ids = [] }
  }

  expect_failures = [var.access]
}

run "endpoints_are_ids" {
  command = plan

  variables {
    access = { account_ids = [], cidrs = [], vpc_endpoint_ids = ["vpc-0123456789abcdef0"] }
  }

  expect_failures = [var.access]
}

run "a_private_api_has_no_public_networks" {
  command = plan

  variables {
    access = { account_ids = [], cidrs = ["203.0.113.0/24"], vpc_endpoint_ids = ["vpce-0123456789abcdef0"] }
  }

  expect_failures = [var.access]
}

run "a_private_api_has_no_public_domain" {
  command = plan

  variables {
    access = { account_ids = [], cidrs = [], vpc_endpoint_ids = ["vpce-0123456789abcdef0"] }
    domain = { name = "audit.example.com", certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/1", base_path = "", ownership_certificate_arn = null, mutual_tls = null }
  }

  expect_failures = [var.access]
}

run "a_domain_is_a_host_name" {
  command = plan

  variables {
    domain = { name = "https://audit.example.com", certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/1", base_path = "", ownership_certificate_arn = null, mutual_tls = null }
  }

  expect_failures = [var.domain]
}

run "a_domain_has_a_certificate_of_the_region" {
  command = plan

  variables {
    domain = { name = "audit.example.com", certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1", base_path = "", ownership_certificate_arn = null, mutual_tls = null }
  }

  expect_failures = [var.domain]
}

run "a_base_path_has_no_slashes" {
  command = plan

  variables {
    domain = { name = "audit.example.com", certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/1", base_path = "/audit", ownership_certificate_arn = null, mutual_tls = null }
  }

  expect_failures = [var.domain]
}

run "mutual_tls_needs_a_truststore_in_s3" {
  command = plan

  variables {
    domain = { name = "audit.example.com", certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/1", base_path = "", ownership_certificate_arn = null, mutual_tls = { truststore_uri = "https://trust/store.pem", truststore_version = "abc" } }
  }

  expect_failures = [var.domain]
}

run "mutual_tls_needs_the_truststores_version" {
  command = plan

  variables {
    domain = { name = "audit.example.com", certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/1", base_path = "", ownership_certificate_arn = null, mutual_tls = { truststore_uri = "s3://trust/store.pem", truststore_version = "" } }
  }

  expect_failures = [var.domain]
}

run "a_usage_plan_has_clients" {
  command = plan

  variables {
    usage_plan = { clients = [], rate_limit = 5, burst_limit = 10, quota = null }
  }

  expect_failures = [var.usage_plan]
}

run "a_usage_plan_lets_something_through" {
  command = plan

  variables {
    usage_plan = { clients = ["billing"], rate_limit = 0, burst_limit = 10, quota = null }
  }

  expect_failures = [var.usage_plan]
}

run "a_quota_has_a_period_that_there_is" {
  command = plan

  variables {
    usage_plan = { clients = ["billing"], rate_limit = 5, burst_limit = 10, quota = { limit = 10, period = "YEAR" } }
  }

  expect_failures = [var.usage_plan]
}

run "a_quota_is_whole_requests" {
  command = plan

  variables {
    usage_plan = { clients = ["billing"], rate_limit = 5, burst_limit = 10, quota = { limit = 10.5, period = "DAY" } }
  }

  expect_failures = [var.usage_plan]
}
