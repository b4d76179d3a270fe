locals {
  access_log_name = "/aws/apigateway/${var.name}/access"
  access_log_arn  = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:${local.access_log_name}"

  # Only what the server knows: neither body nor user agent, nor error.validationErrorString, which quotes the body.
  access_log_format = jsonencode({
    requestId          = "$context.extendedRequestId"
    requestTimeEpoch   = "$context.requestTimeEpoch"
    httpMethod         = "$context.httpMethod"
    resourcePath       = "$context.resourcePath"
    status             = "$context.status"
    errorType          = "$context.error.responseType"
    sourceIp           = "$context.identity.sourceIp"
    userArn            = "$context.identity.userArn"
    subject            = "$context.authorizer.claims.sub"
    principalId        = "$context.authorizer.principalId"
    clientCertSubject  = "$context.identity.clientCert.subjectDN"
    apiKeyId           = "$context.identity.apiKeyId"
    wafResponseCode    = "$context.wafResponseCode"
    responseLength     = "$context.responseLength"
    responseLatency    = "$context.responseLatency"
    integrationStatus  = "$context.integration.status"
    integrationLatency = "$context.integration.latency"
    traceId            = "$context.xrayTraceId"
  })
}

resource "aws_cloudwatch_log_group" "access" {
  #checkov:skip=CKV_AWS_158:CloudWatch's own keys by default; encryption.mode customer_managed sets a key

  name              = local.access_log_name
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.encryption.key_arn
}

# API Gateway would make this group itself, and keep it for ever.
resource "aws_cloudwatch_log_group" "execution" {
  #checkov:skip=CKV_AWS_158:CloudWatch's own keys by default; encryption.mode customer_managed sets a key

  name              = "API-Gateway-Execution-Logs_${aws_api_gateway_rest_api.events.id}/v1"
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.encryption.key_arn
}

resource "aws_cloudwatch_log_group" "receiver" {
  #checkov:skip=CKV_AWS_158:CloudWatch's own keys by default; encryption.mode customer_managed sets a key

  name              = "/aws/lambda/${local.receiver_name}"
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.encryption.key_arn
}
