locals {
  certificate = "--cert client.pem --key client.key"
  try_it = {
    iam                = "awscurl --service execute-api --region ${var.account.region}"
    iam_mutual_tls     = "curl ${local.certificate} --aws-sigv4 aws:amz:${var.account.region}:execute-api --user \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\""
    cognito            = "curl -H \"Authorization: $TOKEN\""
    cognito_mutual_tls = "curl ${local.certificate} -H \"Authorization: $TOKEN\""
    jwt                = "curl -H \"Authorization: Bearer $TOKEN\""
    jwt_mutual_tls     = "curl ${local.certificate} -H \"Authorization: Bearer $TOKEN\""
  }
}

output "api" {
  description = "The API: its name and stage, where it answers, its execution ARN, and how it authenticates."
  value = {
    name          = var.name
    stage         = aws_api_gateway_stage.v1.stage_name
    endpoint      = local.endpoint
    execution_arn = aws_api_gateway_rest_api.events.execution_arn
    auth_mode     = var.auth.mode
  }
}

output "api_key_ids" {
  description = "The ids of the clients' API keys; `aws apigateway get-api-key --api-key ID --include-value` shows a key."
  value       = { for client, key in aws_api_gateway_api_key.clients : client => key.id }
}

output "authorizer" {
  description = "The authorizer function: its name and timeout in seconds; null unless auth.mode is jwt."
  value       = one([for function in aws_lambda_function.authorizer : { name = local.authorizer_name, timeout_s = function.timeout }])
}

output "domain" {
  description = "The domain name and what its DNS record points to; null without one."
  value = var.domain == null ? null : {
    name    = var.domain.name
    target  = aws_api_gateway_domain_name.events["this"].regional_domain_name
    zone_id = aws_api_gateway_domain_name.events["this"].regional_zone_id
  }
}

output "endpoint" {
  description = "The URL that events are POSTed under; it answers once methods, throttles and permissions are there."
  value       = local.endpoint
  depends_on  = [aws_api_gateway_base_path_mapping.events, aws_api_gateway_method_settings.all, aws_lambda_permission.authorizer, aws_lambda_permission.receiver]
}

output "receiver" {
  description = "The receiver function: its name and timeout in seconds."
  value       = { name = local.receiver_name, timeout_s = aws_lambda_function.receiver.timeout }
}

output "stage_arn" {
  description = "The ARN of the API's stage."
  value       = aws_api_gateway_stage.v1.arn
}

output "try_it" {
  description = "A command that POSTs a first event."
  value = join(" ", compact([
    local.try_it[local.mutual_tls ? "${var.auth.mode}_mutual_tls" : var.auth.mode],
    var.usage_plan == null ? "" : "-H \"x-api-key: $API_KEY\"",
    "-X POST -H 'Content-Type: application/json'",
    "-d '{\"eventType\":\"login\",\"timestamp\":\"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'\",\"actor\":{\"userId\":\"alice\"}}'",
    "${local.endpoint}/events",
  ]))
}
