locals {
  transform_name = "${var.name}-transform"
  transform_arn  = "arn:${var.account.partition}:lambda:${var.account.region}:${var.account.id}:function:${local.transform_name}"
}

resource "aws_lambda_function" "transform" {
  #checkov:skip=CKV_AWS_116:Firehose invokes it and keeps what fails, under the error prefix
  #checkov:skip=CKV_AWS_115:concurrency that is reserved is also a limit: a burst would be refused though the account has room
  #checkov:skip=CKV_AWS_117:it talks to AWS's own endpoints only; a VPC would add endpoints that can fail and keep nobody out
  #checkov:skip=CKV_AWS_173:its variables hold names, no secrets
  #checkov:skip=CKV_AWS_272:who may change the function may sign it as well; its hash is in the plan

  function_name    = local.transform_name
  description      = "Makes rows of events and says to which partition each belongs."
  role             = aws_iam_role.transform.arn
  runtime          = "python3.13"
  architectures    = ["arm64"]
  handler          = "lambda_src.transform.handler.handle"
  filename         = var.transform_zip
  source_code_hash = filebase64sha256(var.transform_zip)
  memory_size      = 512
  # Seconds. Lambda's own default, 3, fails whole batches with Lambda.FunctionTimedOut (I.14); Firehose waits 300.
  timeout = 120

  environment {
    variables = {
      AUDIT_TYPES                  = join(",", var.audit_types)
      EVENT_DAYS_BACK              = tostring(var.event_window.days_back)
      EVENT_DAYS_AHEAD             = tostring(var.event_window.days_ahead)
      POWERTOOLS_SERVICE_NAME      = "transform"
      POWERTOOLS_METRICS_NAMESPACE = var.name
      LOG_LEVEL                    = "INFO"
    }
  }

  tracing_config {
    mode = "Active"
  }

  depends_on = [aws_iam_role_policy.transform, aws_cloudwatch_log_group.transform]

  lifecycle {
    postcondition {
      condition     = self.timeout >= 60 && self.timeout <= 300
      error_message = "timeout must lie between 60 and 300 seconds: a batch that takes longer fails whole, and Firehose waits no longer than 5 minutes."
    }
  }
}

resource "aws_iam_role" "transform" {
  name        = local.transform_name
  description = "The transform logs and traces, nothing else."
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "transform" {
  name = "log-and-trace"
  role = aws_iam_role.transform.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:/aws/lambda/${local.transform_name}:*"
      },
      # X-Ray knows no resources.
      { Effect = "Allow", Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource = "*" },
    ]
  })
}
