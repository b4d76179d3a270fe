output "endpoint" {
  description = "The URL of the stage; it answers once methods, throttles and permissions are there."
  value       = aws_api_gateway_stage.v1.invoke_url
  depends_on  = [aws_api_gateway_method_settings.all, aws_lambda_permission.receiver]
}

output "try_it" {
  description = "A command that POSTs a first event."
  value = join(" ", [
    var.auth.mode == "iam" ? "awscurl --service execute-api --region ${var.account.region}" : "curl -H \"Authorization: $TOKEN\"",
    "-X POST -H 'Content-Type: application/json'",
    "-d '{\"eventType\":\"login\",\"timestamp\":\"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'\",\"actor\":{\"userId\":\"alice\"}}'",
    "${aws_api_gateway_stage.v1.invoke_url}/events",
  ])
}
