# The API's resource policy: from where, and from which accounts, it can be called at all. It stands in the document, because
# API Gateway forgets a policy that is set apart from it when the document is put again.
locals {
  other_accounts = [for id in var.access.account_ids : "arn:${var.account.partition}:iam::${id}:root" if id != var.account.id]
  private        = length(var.access.vpc_endpoint_ids) > 0
  restricted     = length(var.access.account_ids) + length(var.access.cidrs) + length(var.access.vpc_endpoint_ids) > 0

  access_policy = {
    Version = "2012-10-17"
    Statement = concat(
      # Nobody else is let in: what no statement allows is denied, but for principals of this account, whose own policies decide.
      [for statement in [
        { Sid = "WhoHasAToken", Effect = "Allow", Principal = "*", Action = "execute-api:Invoke", Resource = "execute-api:/v1/POST/*" },
      ] : statement if var.auth.mode != "iam"],
      [for statement in [
        { Sid = "OtherAccounts", Effect = "Allow", Principal = { AWS = local.other_accounts }, Action = "execute-api:Invoke", Resource = "execute-api:/v1/POST/*" },
      ] : statement if length(local.other_accounts) > 0],
      [{ Sid = "Health", Effect = "Allow", Principal = "*", Action = "execute-api:Invoke", Resource = "execute-api:/v1/GET/health" }],
      length(var.access.cidrs) == 0 ? [] : [{
        Sid       = "OnlyTheseNetworks"
        Effect    = "Deny"
        Principal = "*"
        Action    = "execute-api:Invoke"
        Resource  = "execute-api:/*"
        Condition = { NotIpAddress = { "aws:SourceIp" = var.access.cidrs } }
      }],
      !local.private ? [] : [{
        Sid       = "OnlyTheseEndpoints"
        Effect    = "Deny"
        Principal = "*"
        Action    = "execute-api:Invoke"
        Resource  = "execute-api:/*"
        Condition = { StringNotEquals = { "aws:SourceVpce" = var.access.vpc_endpoint_ids } }
      }],
    )
  }
}
