resource "aws_api_gateway_stage" "v1" {
  #checkov:skip=CKV_AWS_120:every request is a POST, which no cache may answer
  #checkov:skip=CKV2_AWS_29:a web ACL is an option: whoever is let in is known by signature or token
  #checkov:skip=CKV2_AWS_77:as above; the web ACL that the option makes has the rules for Log4j
  #checkov:skip=CKV2_AWS_51:a client certificate is for HTTP backends, and there is none

  rest_api_id          = aws_api_gateway_rest_api.events.id
  deployment_id        = aws_api_gateway_deployment.events.id
  stage_name           = "v1"
  xray_tracing_enabled = true

  access_log_settings {
    destination_arn = local.access_log_arn
    format          = local.access_log_format
  }

  depends_on = [aws_api_gateway_account.logs, aws_cloudwatch_log_group.access, aws_cloudwatch_log_group.execution]
}

resource "aws_api_gateway_method_settings" "all" {
  #checkov:skip=CKV_AWS_225:every request is a POST, which no cache may answer

  rest_api_id = aws_api_gateway_rest_api.events.id
  stage_name  = aws_api_gateway_stage.v1.stage_name
  method_path = "*/*"

  settings {
    throttling_rate_limit  = var.ingest.rate_limit
    throttling_burst_limit = var.ingest.burst_limit
    metrics_enabled        = true
    logging_level          = "ERROR"
    data_trace_enabled     = false # it would write the events into the log
  }
}
