# A web ACL before the stage. An audit log has to take events that quote attacks, so what looks for attacks in bodies only
# counts; what looks at address, header and size blocks.
locals {
  counted = {
    AWSManagedRulesCommonRuleSet = [
      "SizeRestrictions_BODY", # 8 KB: less than a batch
      "CrossSiteScripting_BODY",
      "GenericLFI_BODY",
      "GenericRFI_BODY",
      "EC2MetaDataSSRF_BODY",
      "NoUserAgent_HEADER", # services need none
    ]
    AWSManagedRulesKnownBadInputsRuleSet = ["JavaDeserializationRCE_BODY", "Log4JRCE_BODY", "ReactJSRCE_BODY"]
  }

  # No statement of WAF compares a body of more than 64 KB, which is less than a batch; the header that announces it is text.
  # So: more digits than the limit has, or as many and at one place a larger one. API Gateway itself refuses over 10 MB.
  limit_digits = split("", format("%d", var.waf.max_body_bytes))
  too_large = format("^0*([0-9]{%d,}%s)$", length(local.limit_digits) + 1, join("", [
    for place, digit in local.limit_digits : digit == "9" ? "" : format("|%s[%d-9][0-9]{%d}",
    join("", slice(local.limit_digits, 0, place)), tonumber(digit) + 1, length(local.limit_digits) - place - 1)
  ]))
}

resource "aws_wafv2_web_acl" "api" {
  name        = var.name
  description = "Keeps floods and oversized bodies from the API of ${var.name}."
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  association_config {
    request_body {
      api_gateway {
        default_size_inspection_limit = "KB_${var.waf.inspected_body_kib}"
      }
    }
  }

  custom_response_body {
    key          = "rate"
    content_type = "APPLICATION_JSON"
    content      = jsonencode({ type = "about:blank", title = "Too Many Requests", status = 429, detail = "More requests came from this address than are let through, and this one was not stored: send it again after the seconds that Retry-After says, or send batches." })
  }

  custom_response_body {
    key          = "size"
    content_type = "APPLICATION_JSON"
    content      = jsonencode({ type = "about:blank", title = "Content Too Large", status = 413, detail = "The body is larger than ${var.waf.max_body_bytes} bytes, and nothing was stored: send smaller batches." })
  }

  rule {
    name     = "rate"
    priority = 0

    action {
      block {
        custom_response {
          response_code            = 429
          custom_response_body_key = "rate"

          response_header {
            name  = "Retry-After"
            value = "60"
          }
        }
      }
    }

    statement {
      rate_based_statement {
        aggregate_key_type    = "IP"
        limit                 = var.waf.requests_per_5_min
        evaluation_window_sec = 300
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-rate"
      sampled_requests_enabled   = false # a sample shows headers, the token among them
    }
  }

  rule {
    name     = "size"
    priority = 1

    action {
      block {
        custom_response {
          response_code            = 413
          custom_response_body_key = "size"
        }
      }
    }

    statement {
      regex_match_statement {
        regex_string = local.too_large

        field_to_match {
          single_header {
            name = "content-length"
          }
        }

        text_transformation {
          priority = 0
          type     = "NONE"
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-size"
      sampled_requests_enabled   = false
    }
  }

  rule {
    name     = "AWSManagedRulesCommonRuleSet"
    priority = 2

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        vendor_name = "AWS"
        name        = "AWSManagedRulesCommonRuleSet"

        dynamic "rule_action_override" {
          for_each = local.counted["AWSManagedRulesCommonRuleSet"]

          content {
            name = rule_action_override.value

            action_to_use {
              count {}
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-AWSManagedRulesCommonRuleSet"
      sampled_requests_enabled   = false
    }
  }

  rule {
    name     = "AWSManagedRulesKnownBadInputsRuleSet"
    priority = 3

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        vendor_name = "AWS"
        name        = "AWSManagedRulesKnownBadInputsRuleSet"

        dynamic "rule_action_override" {
          for_each = local.counted["AWSManagedRulesKnownBadInputsRuleSet"]

          content {
            name = rule_action_override.value

            action_to_use {
              count {}
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-AWSManagedRulesKnownBadInputsRuleSet"
      sampled_requests_enabled   = false
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "${var.name}-web-acl"
    sampled_requests_enabled   = false
  }
}

resource "aws_wafv2_web_acl_association" "stage" {
  resource_arn = var.stage_arn
  web_acl_arn  = aws_wafv2_web_acl.api.arn
}
