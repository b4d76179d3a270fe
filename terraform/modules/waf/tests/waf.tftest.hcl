mock_provider "aws" {}

variables {
  account    = { id = "123456789012", region = "us-east-1", partition = "aws" }
  encryption = { customer_managed = false, key_arn = null }
  logs       = { retention_days = 90 }
  name       = "auditlake"
  stage_arn  = "arn:aws:apigateway:us-east-1::/restapis/abc123/stages/v1"
  waf        = { requests_per_5_min = 1000, max_body_bytes = 6291456, inspected_body_kib = 16 }
}

run "the_web_acl_stops_floods_and_sizes_and_reads_no_attack_into_an_event" {
  command = plan

  variables {
    waf = { requests_per_5_min = 1000, max_body_bytes = 6291456, inspected_body_kib = 32 }
  }

  assert {
    condition     = [for rule in aws_wafv2_web_acl.api.rule : one(rule.statement[0].rate_based_statement).limit if rule.name == "rate"] == [1000]
    error_message = "The rate rule should have the limit of the variable."
  }

  assert {
    condition = alltrue([for rule in aws_wafv2_web_acl.api.rule : alltrue([
      for override in one(rule.statement[0].managed_rule_group_statement).rule_action_override : length(override.action_to_use[0].count) == 1
    ]) if startswith(rule.name, "AWS")])
    error_message = "What is overridden should count."
  }

  assert {
    condition = toset(flatten([for rule in aws_wafv2_web_acl.api.rule : one(rule.statement[0].managed_rule_group_statement).rule_action_override[*].name if startswith(rule.name, "AWS")])) == toset([
      "SizeRestrictions_BODY", "CrossSiteScripting_BODY", "GenericLFI_BODY", "GenericRFI_BODY", "EC2MetaDataSSRF_BODY", "NoUserAgent_HEADER",
      "JavaDeserializationRCE_BODY", "Log4JRCE_BODY", "ReactJSRCE_BODY",
    ])
    error_message = "Every rule that looks for attacks in bodies should only count."
  }

  assert {
    condition     = aws_wafv2_web_acl.api.association_config[0].request_body[0].api_gateway[0].default_size_inspection_limit == "KB_32"
    error_message = "WAF should see as much of a body as the variable says."
  }

  assert {
    condition     = aws_wafv2_web_acl_logging_configuration.api.log_destination_configs == toset(["arn:aws:logs:us-east-1:123456789012:log-group:aws-waf-logs-auditlake"]) && aws_cloudwatch_log_group.waf.retention_in_days == 90
    error_message = "What is blocked or counted should be logged."
  }
}

run "the_size_rule_compares_numbers" {
  command = plan

  assert {
    condition     = alltrue([for size in [6291457, 6291460, 6300000, 7000000, 9999999, 10000000, 62914560] : can(regex(local.too_large, format("%d", size)))])
    error_message = "What is larger should match."
  }

  assert {
    condition     = alltrue([for size in [0, 9, 999999, 5999999, 6199999, 6291399, 6291455, 6291456] : !can(regex(local.too_large, format("%d", size)))])
    error_message = "What is not larger should not match."
  }
}
