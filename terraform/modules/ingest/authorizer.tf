# Mode jwt: a function that verifies tokens for API Gateway, which knows no issuer but Cognito.
locals {
  authorizer_name = "${var.name}-authorizer"
  authorizer_arn  = "arn:${var.account.partition}:lambda:${var.account.region}:${var.account.id}:function:${local.authorizer_name}"
  jwt             = var.auth.mode == "jwt" ? { this = var.auth.jwt } : {}
}

resource "aws_lambda_function" "authorizer" {
  #checkov:skip=CKV_AWS_116:API Gateway waits for its answer, and nothing is lost with it
  #checkov:skip=CKV_AWS_115:concurrency that is reserved is also a limit: a burst would be refused though the account has room
  #checkov:skip=CKV_AWS_117:it asks the issuer for its keys, over the internet; a VPC would need a way out
  #checkov:skip=CKV_AWS_173:its variables hold what an issuer publishes, no secrets
  #checkov:skip=CKV_AWS_272:who may change the function may sign it as well; its hash is in the plan
  #checkov:skip=CKV_AWS_50:its role may write logs and nothing else; the API's trace shows how long it took

  for_each = local.jwt

  function_name    = local.authorizer_name
  description      = "Says whether a token of ${each.value.issuer} lets its bearer in."
  role             = aws_iam_role.authorizer[each.key].arn
  runtime          = "python3.13"
  architectures    = ["arm64"]
  handler          = "lambda_src.authorizer.handler.handle"
  filename         = var.authorizer_zip
  source_code_hash = filebase64sha256(var.authorizer_zip)
  memory_size      = 512
  timeout          = 10 # seconds: two requests to the issuer of 3 s each, and a cold start

  environment {
    variables = {
      ISSUER                  = each.value.issuer
      AUDIENCES               = jsonencode(each.value.audiences)
      JWKS_URL                = each.value.jwks_url == null ? "" : each.value.jwks_url
      REQUIRED_CLAIMS         = jsonencode(each.value.required_claims)
      REQUIRED_SCOPES         = jsonencode(each.value.required_scopes)
      PRINCIPAL_CLAIM         = each.value.principal_claim
      CLOCK_SKEW_S            = tostring(each.value.clock_skew_s)
      POWERTOOLS_SERVICE_NAME = "authorizer"
      # The function's errors are refused tokens too (401); this alone says that it cannot judge any.
      POWERTOOLS_METRICS_NAMESPACE = var.name
      LOG_LEVEL                    = "INFO"
    }
  }

  depends_on = [aws_iam_role_policy.authorizer, aws_cloudwatch_log_group.authorizer]
}

resource "aws_lambda_permission" "authorizer" {
  for_each = local.jwt

  statement_id  = "api-authorizer"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.authorizer[each.key].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.events.execution_arn}/authorizers/*" # its id is the API's to choose
}

resource "aws_iam_role" "authorizer" {
  for_each = local.jwt

  name        = local.authorizer_name
  description = "The authorizer logs."
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "authorizer" {
  for_each = local.jwt

  name = "log"
  role = aws_iam_role.authorizer[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:/aws/lambda/${local.authorizer_name}:*"
    }]
  })
}

resource "aws_cloudwatch_log_group" "authorizer" {
  #checkov:skip=CKV_AWS_158:CloudWatch's own keys by default; encryption.mode customer_managed sets a key

  for_each = local.jwt

  name              = "/aws/lambda/${local.authorizer_name}"
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.encryption.key_arn
}
