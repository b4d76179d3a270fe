locals {
  receiver_name = "${var.name}-receiver"
  put_many      = var.kinesis_stream == null ? "firehose:PutRecordBatch" : "kinesis:PutRecords"
  receiver_stream = { for variable, stream in { DELIVERY_STREAM_NAME = var.kinesis_stream == null ? var.stream : null, KINESIS_STREAM_NAME = var.kinesis_stream } :
    variable => stream.name if stream != null
  }
  receiver_arn = "arn:${var.account.partition}:lambda:${var.account.region}:${var.account.id}:function:${local.receiver_name}"
}

resource "aws_lambda_function" "receiver" {
  #checkov:skip=CKV_AWS_116:API Gateway waits for its answer, and the client sends again what failed
  #checkov:skip=CKV_AWS_115:concurrency that is reserved is also a limit: a burst would be refused though the account has room
  #checkov:skip=CKV_AWS_117:it talks to AWS's own endpoints only; a VPC would add endpoints that can fail and keep nobody out
  #checkov:skip=CKV_AWS_173:its variables hold names, no secrets
  #checkov:skip=CKV_AWS_272:who may change the function may sign it as well; its hash is in the plan

  function_name    = local.receiver_name
  description      = "Takes batches of events and puts them into the delivery stream."
  role             = aws_iam_role.receiver.arn
  runtime          = "python3.13"
  architectures    = ["arm64"]
  handler          = "lambda_src.receiver.handler.handle"
  filename         = var.receiver_zip
  source_code_hash = filebase64sha256(var.receiver_zip)
  memory_size      = 512
  timeout          = 29 # seconds; API Gateway waits no longer for its answer

  environment {
    variables = merge(local.receiver_stream, {
      PACKING                      = tostring(var.ingest.packing)
      POWERTOOLS_SERVICE_NAME      = "receiver"
      POWERTOOLS_METRICS_NAMESPACE = var.name
      LOG_LEVEL                    = "INFO"
    })
  }

  tracing_config {
    mode = "Active"
  }

  depends_on = [aws_iam_role_policy.receiver, aws_cloudwatch_log_group.receiver]
}

resource "aws_lambda_permission" "receiver" {
  for_each = toset(local.receiver_routes)

  statement_id  = "api-post${replace(each.key, "/", "-")}"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.receiver.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.events.execution_arn}/v1/POST${each.key}"
}

resource "aws_iam_role" "receiver" {
  name        = local.receiver_name
  description = "The receiver puts batches into the delivery stream, logs and traces."
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "receiver" {
  name = "put-record-batch"
  role = aws_iam_role.receiver.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      { Effect = "Allow", Action = local.put_many, Resource = local.put_arn },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:/aws/lambda/${local.receiver_name}:*"
      },
      # X-Ray knows no resources.
      { Effect = "Allow", Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource = "*" },
    ], local.use_stream_key)
  })
}
