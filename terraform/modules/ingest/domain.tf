# A name of one's own, and on it mutual TLS if asked for. The record that points the name to it is left to whoever keeps the
# zone: output `domain` says where to.
locals {
  domain     = var.domain == null ? {} : { this = var.domain }
  mutual_tls = try(var.domain.mutual_tls, null) != null

  endpoint = var.domain == null ? aws_api_gateway_stage.v1.invoke_url : join("/", compact(["https://${var.domain.name}", var.domain.base_path]))
}

resource "aws_api_gateway_domain_name" "events" {
  for_each = local.domain

  domain_name                            = each.value.name
  regional_certificate_arn               = each.value.certificate_arn
  ownership_verification_certificate_arn = each.value.ownership_certificate_arn
  security_policy                        = "TLS_1_2"

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  dynamic "mutual_tls_authentication" {
    for_each = each.value.mutual_tls == null ? [] : [each.value.mutual_tls]

    content {
      truststore_uri     = mutual_tls_authentication.value.truststore_uri
      truststore_version = mutual_tls_authentication.value.truststore_version # or a new object would be trusted unseen
    }
  }
}

resource "aws_api_gateway_base_path_mapping" "events" {
  for_each = local.domain

  domain_name = aws_api_gateway_domain_name.events[each.key].domain_name
  api_id      = aws_api_gateway_rest_api.events.id
  stage_name  = aws_api_gateway_stage.v1.stage_name
  base_path   = each.value.base_path == "" ? null : each.value.base_path
}
