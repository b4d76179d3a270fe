locals {
  log_name = "aws-waf-logs-${var.name}" # WAF writes to no other name
}

resource "aws_cloudwatch_log_group" "waf" {
  #checkov:skip=CKV_AWS_158:CloudWatch's own keys by default; encryption.mode customer_managed sets a key

  name              = local.log_name
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.encryption.key_arn
}

resource "aws_wafv2_web_acl_logging_configuration" "api" {
  resource_arn            = aws_wafv2_web_acl.api.arn
  log_destination_configs = ["arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:${local.log_name}"]

  # What was let through is in the access log.
  logging_filter {
    default_behavior = "DROP"

    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"

      dynamic "condition" {
        for_each = ["BLOCK", "COUNT", "EXCLUDED_AS_COUNT"]

        content {
          action_condition {
            action = condition.value
          }
        }
      }
    }
  }

  dynamic "redacted_fields" {
    for_each = ["authorization", "x-amz-security-token", "x-api-key"]

    content {
      single_header {
        name = redacted_fields.value
      }
    }
  }

  depends_on = [aws_cloudwatch_log_group.waf]
}
