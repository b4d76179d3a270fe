# API keys for throttles and quotas of single clients. A key is no proof of who calls: whatever auth.mode says holds besides.
locals {
  usage_plan = var.usage_plan == null ? {} : { this = var.usage_plan }
  clients    = toset(try(var.usage_plan.clients, []))
}

resource "aws_api_gateway_usage_plan" "clients" {
  for_each = local.usage_plan

  name        = "${var.name}-clients"
  description = "What each client of ${var.name} may send."

  api_stages {
    api_id = aws_api_gateway_rest_api.events.id
    stage  = aws_api_gateway_stage.v1.stage_name
  }

  throttle_settings {
    rate_limit  = each.value.rate_limit
    burst_limit = each.value.burst_limit
  }

  dynamic "quota_settings" {
    for_each = each.value.quota == null ? [] : [each.value.quota]

    content {
      limit  = quota_settings.value.limit
      period = quota_settings.value.period
    }
  }
}

resource "aws_api_gateway_api_key" "clients" {
  for_each = local.clients

  name        = "${var.name}-${each.key}"
  description = "Counts what ${each.key} sends; it authenticates nobody."
}

resource "aws_api_gateway_usage_plan_key" "clients" {
  for_each = local.clients

  usage_plan_id = aws_api_gateway_usage_plan.clients["this"].id
  key_id        = aws_api_gateway_api_key.clients[each.key].id
  key_type      = "API_KEY"
}
