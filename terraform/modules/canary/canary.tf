locals {
  canary_name = "${var.name}-canary"
  canary_arn  = "arn:${var.account.partition}:lambda:${var.account.region}:${var.account.id}:function:${local.canary_name}"
  interval_s  = var.canary.interval_min * 60

  # As the transform chooses it: the type auditlake.canary, else what stands before the dot, else other.
  audit_type = contains(var.audit_types, "auditlake.canary") ? "auditlake.canary" : contains(var.audit_types, "auditlake") ? "auditlake" : "other"
}

resource "aws_lambda_function" "canary" {
  #checkov:skip=CKV_AWS_116:the next run comes by itself, and silence raises the alarm
  #checkov:skip=CKV_AWS_115:concurrency that is reserved is also a limit: a burst would be refused though the account has room
  #checkov:skip=CKV_AWS_117:it talks to AWS's own endpoints only; a VPC would add endpoints that can fail and keep nobody out
  #checkov:skip=CKV_AWS_173:its variables hold names, no secrets
  #checkov:skip=CKV_AWS_272:who may change the function may sign it as well; its hash is in the plan

  function_name    = local.canary_name
  description      = "Posts an event through the front door, and finds an earlier one by Athena."
  role             = aws_iam_role.canary.arn
  runtime          = "python3.13"
  architectures    = ["arm64"]
  handler          = "lambda_src.canary.handler.handle"
  filename         = var.canary_zip
  source_code_hash = filebase64sha256(var.canary_zip)
  memory_size      = 256
  timeout          = 120 # seconds: a query takes a few

  environment {
    variables = {
      ENDPOINT                     = var.api.endpoint
      INTERVAL_S                   = tostring(local.interval_s)
      WORKGROUP                    = var.table.workgroup
      DATABASE                     = var.table.database
      TABLE                        = var.table.name
      AUDIT_TYPE                   = local.audit_type
      POWERTOOLS_SERVICE_NAME      = "canary"
      POWERTOOLS_METRICS_NAMESPACE = var.name
      LOG_LEVEL                    = "INFO"
    }
  }

  tracing_config {
    mode = "Active"
  }

  depends_on = [aws_iam_role_policy.post, aws_iam_role_policy.query, aws_cloudwatch_log_group.canary]
}

resource "aws_cloudwatch_log_group" "canary" {
  #checkov:skip=CKV_AWS_158:CloudWatch's own keys by default; encryption.mode customer_managed sets a key

  name              = "/aws/lambda/${local.canary_name}"
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.encryption.key_arn
}

resource "aws_cloudwatch_event_rule" "canary" {
  name                = local.canary_name
  description         = "Lets the canary post an event every ${var.canary.interval_min} minutes."
  schedule_expression = "rate(${var.canary.interval_min} minutes)"
}

resource "aws_cloudwatch_event_target" "canary" {
  rule = aws_cloudwatch_event_rule.canary.name
  arn  = aws_lambda_function.canary.arn
}

resource "aws_lambda_permission" "canary" {
  statement_id  = "schedule"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.canary.function_name
  principal     = "events.amazonaws.com"
  source_arn    = "arn:${var.account.partition}:events:${var.account.region}:${var.account.id}:rule/${local.canary_name}"
}

# Three intervals: the first two runs after an apply look for events that nobody posted.
resource "aws_cloudwatch_metric_alarm" "absent" {
  count = var.monitoring.topic_arn == null ? 0 : 1

  alarm_name          = "${var.name}-canary-absent"
  alarm_description   = "An event that was accepted ${2 * var.canary.interval_min} minutes ago cannot be queried, three times in a row, or the canary is silent. ${var.monitoring.runbook_url}#canary-absent"
  namespace           = var.name
  metric_name         = "CanaryFound"
  dimensions          = { service = "canary" }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = local.interval_s
  evaluation_periods  = 3
  treat_missing_data  = "breaching" # silence is what it watches for
  alarm_actions       = [var.monitoring.topic_arn]
  ok_actions          = [var.monitoring.topic_arn]
}
