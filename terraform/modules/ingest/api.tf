locals {
  document = yamldecode(templatefile("${path.module}/openapi.yaml", {
    api_name                 = var.name
    region                   = var.account.region
    partition                = var.account.partition
    stream_name              = var.stream.name
    api_role_arn             = local.api_role_arn
    receiver_arn             = local.receiver_arn
    auth_mode                = var.auth.mode
    cognito_user_pool_arns   = var.auth.cognito_user_pool_arns
    cognito_scopes           = var.auth.cognito_scopes
    minimum_compression_size = var.ingest.minimum_compression_size
  }))

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
  name = var.name
  body = local.body

  endpoint_configuration {
    types = ["REGIONAL"]
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
