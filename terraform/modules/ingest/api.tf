locals {
  filled = yamldecode(templatefile("${path.module}/openapi.yaml", {
    api_name                 = var.name
    region                   = var.account.region
    partition                = var.account.partition
    put_service              = local.put_service
    stream_name              = var.kinesis_stream == null ? var.stream.name : var.kinesis_stream.name
    api_role_arn             = local.api_role_arn
    receiver_arn             = local.receiver_arn
    auth_mode                = var.auth.mode
    api_key                  = var.usage_plan == null ? {} : { api_key = [] }
    authorizer_arn           = local.authorizer_arn
    authorizer_result_ttl_s  = var.auth.jwt == null ? 0 : var.auth.jwt.result_ttl_s
    cognito_user_pool_arns   = var.auth.cognito_user_pool_arns
    cognito_scopes           = var.auth.cognito_scopes
    minimum_compression_size = var.ingest.minimum_compression_size
  }))

  # What an option adds to the document.
  document = merge(
    local.filled,
    { for policy in local.restricted ? [local.access_policy] : [] : "x-amazon-apigateway-policy" => policy },
    # The default endpoint asks for no client certificate. Here as well, so that a change makes a new deployment.
    { for disabled in local.mutual_tls ? [true] : [] : "x-amazon-apigateway-endpoint-configuration" => { disableExecuteApiEndpoint = disabled } },
  )

  post_event  = local.document.paths["/events"].post
  post_events = local.document.paths["/events/batch"].post

  # The receiver validates by itself, with the code of the transform; the API's validator would answer before it.
  received = merge(
    { for key, value in local.post_event : key => value if key != "x-amazon-apigateway-request-validator" },
    { x-amazon-apigateway-integration = local.post_events["x-amazon-apigateway-integration"] },
  )

  # JSON on both sides, because the two documents are objects of different types.
  body = var.ingest.mode == "direct" ? jsonencode(local.document) : jsonencode(merge(local.document, {
    paths = merge(local.document.paths, { "/events" = merge(local.document.paths["/events"], { post = local.received }) })
  }))

  receiver_routes = var.ingest.mode == "direct" ? ["/events/batch"] : ["/events", "/events/batch"]
}

resource "aws_api_gateway_rest_api" "events" {
  #checkov:skip=CKV_AWS_237:a second API would have another URL, and every client would have to be told

  name = var.name
  body = local.body

  disable_execute_api_endpoint = local.mutual_tls

  endpoint_configuration {
    types            = [local.private ? "PRIVATE" : "REGIONAL"]
    vpc_endpoint_ids = local.private ? var.access.vpc_endpoint_ids : null
  }

  depends_on = [aws_iam_role_policy.api]
}

resource "aws_api_gateway_deployment" "events" {
  rest_api_id = aws_api_gateway_rest_api.events.id

  # A stage serves a deployment, not the API: without a new one a changed body would never be served.
  triggers = {
    body = sha1(local.body)
  }

  lifecycle {
    create_before_destroy = true
  }
}
