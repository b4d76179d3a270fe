variable "access" {
  description = "The accounts, networks and VPC endpoints that alone may call the API; empty lists restrict nothing."
  type        = object({ account_ids = list(string), cidrs = list(string), vpc_endpoint_ids = list(string) })
  nullable    = false

  validation {
    condition     = alltrue([for id in var.access.account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "access.account_ids must hold the 12 digits of AWS accounts."
  }

  validation {
    condition     = length(var.access.account_ids) == 0 || var.auth.mode == "iam"
    error_message = "access.account_ids must be empty when auth.mode is ${var.auth.mode}: only a signature tells from which account a request comes."
  }

  validation {
    condition     = alltrue([for cidr in var.access.cidrs : can(cidrhost(cidr, 0))])
    error_message = "access.cidrs must hold networks in CIDR notation, e.g. 203.0.113.0/24."
  }

  validation {
    condition     = alltrue([for id in var.access.vpc_endpoint_ids : can(regex("^vpce-[0-9a-f]+$", id))])
    error_message = "access.vpc_endpoint_ids must hold ids of VPC endpoints for execute-api, e.g. vpce-0123456789abcdef0."
  }

  validation {
    condition     = length(var.access.vpc_endpoint_ids) == 0 || length(var.access.cidrs) == 0
    error_message = "access.cidrs must be empty when access.vpc_endpoint_ids are given: the API is private then and sees no public addresses."
  }

  validation {
    condition     = length(var.access.vpc_endpoint_ids) == 0 || var.domain == null
    error_message = "access.vpc_endpoint_ids must be empty when there is a domain: the domain is one of the public internet, and the API would be private."
  }
}

variable "account" {
  description = "The account's id, region and partition, of which ARNs are composed."
  type        = object({ id = string, region = string, partition = string })
  nullable    = false
}

variable "auth" {
  description = "Who may POST: mode iam, cognito with the user pools and scopes, or jwt with what a token must be."
  type = object({
    mode                   = string
    cognito_user_pool_arns = list(string)
    cognito_scopes         = list(string)
    jwt = object({
      issuer          = string
      audiences       = list(string)
      jwks_url        = string
      required_claims = map(string)
      required_scopes = list(string)
      principal_claim = string
      clock_skew_s    = number
      result_ttl_s    = number
    })
  })
  nullable = false

  validation {
    condition     = contains(["iam", "cognito", "jwt"], var.auth.mode)
    error_message = "auth.mode must be iam, cognito or jwt, not ${var.auth.mode}."
  }

  validation {
    condition     = var.auth.mode != "cognito" || length(var.auth.cognito_user_pool_arns) > 0
    error_message = "auth.cognito_user_pool_arns must name at least one user pool when auth.mode is cognito."
  }

  validation {
    condition     = var.auth.mode == "cognito" || length(var.auth.cognito_user_pool_arns) + length(var.auth.cognito_scopes) == 0
    error_message = "auth.cognito_user_pool_arns and auth.cognito_scopes must be empty unless auth.mode is cognito, because nothing would look at them."
  }

  validation {
    condition     = alltrue([for arn in var.auth.cognito_user_pool_arns : can(regex("^arn:[a-z-]+:cognito-idp:[a-z0-9-]+:[0-9]{12}:userpool/", arn))])
    error_message = "auth.cognito_user_pool_arns must hold ARNs of user pools (arn:aws:cognito-idp:REGION:ACCOUNT:userpool/ID)."
  }

  validation {
    condition     = (var.auth.mode == "jwt") == (var.auth.jwt != null)
    error_message = "auth.jwt must be given when auth.mode is jwt, and only then."
  }

  validation {
    condition     = var.auth.jwt == null || can(regex("^https://[^ ?#]+$", var.auth.jwt.issuer))
    error_message = "auth.jwt.issuer must be the URL that tokens name as iss, to the letter, and begin with https://."
  }

  validation {
    condition     = try(length(var.auth.jwt.audiences) > 0 && alltrue([for audience in var.auth.jwt.audiences : audience != ""]), var.auth.jwt == null)
    error_message = "auth.jwt.audiences must name at least one audience: without it, a token that the issuer made for any other service would let its bearer in."
  }

  validation {
    condition     = try(var.auth.jwt.jwks_url, null) == null || can(regex("^https://[^ ]+$", var.auth.jwt.jwks_url))
    error_message = "auth.jwt.jwks_url must begin with https://; null looks it up at the issuer's /.well-known/openid-configuration."
  }

  validation {
    condition     = var.auth.jwt == null || try(length(var.auth.jwt.principal_claim) > 0, false)
    error_message = "auth.jwt.principal_claim must name the claim that says who acts, e.g. sub."
  }

  validation {
    condition     = var.auth.jwt == null || try(var.auth.jwt.clock_skew_s >= 0 && var.auth.jwt.clock_skew_s <= 300 && floor(var.auth.jwt.clock_skew_s) == var.auth.jwt.clock_skew_s, false)
    error_message = "auth.jwt.clock_skew_s must lie between 0 and 300 whole seconds: so long does a token count after it has expired."
  }

  validation {
    condition     = var.auth.jwt == null || try(var.auth.jwt.result_ttl_s >= 0 && var.auth.jwt.result_ttl_s <= 3600 && floor(var.auth.jwt.result_ttl_s) == var.auth.jwt.result_ttl_s, false)
    error_message = "auth.jwt.result_ttl_s must lie between 0 and 3600 whole seconds, for which API Gateway keeps an answer; 0 asks for each request."
  }
}

variable "authorizer_zip" {
  description = "The path of the authorizer's package, which mode jwt needs."
  type        = string
  nullable    = false

  validation {
    condition     = var.auth.mode != "jwt" || fileexists(var.authorizer_zip)
    error_message = "${var.authorizer_zip} does not exist: run `python build.py` at the top of the project first."
  }
}

variable "domain" {
  description = "A domain name for the API, with its certificate, the path under it, and the truststore of mutual TLS; null, none."
  type = object({
    name                      = string
    certificate_arn           = string
    base_path                 = string
    ownership_certificate_arn = string
    mutual_tls                = object({ truststore_uri = string, truststore_version = string })
  })

  validation {
    condition     = var.domain == null || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z]{2,}$", var.domain.name))
    error_message = "domain.name must be a host name in lower case, e.g. audit.example.com."
  }

  validation {
    condition     = var.domain == null || can(regex("^arn:[a-z-]+:acm:${var.account.region}:[0-9]{12}:certificate/", var.domain.certificate_arn))
    error_message = "domain.certificate_arn must be the ARN of an ACM certificate in ${var.account.region}, where the API is."
  }

  validation {
    condition     = var.domain == null || can(regex("^[A-Za-z0-9._-]*$", var.domain.base_path))
    error_message = "domain.base_path must be one part of a path without slashes, or empty."
  }

  validation {
    condition     = try(var.domain.mutual_tls, null) == null || can(regex("^s3://[^/]+/.+$", var.domain.mutual_tls.truststore_uri))
    error_message = "domain.mutual_tls.truststore_uri must name the object in S3 that holds the certificates which are trusted, e.g. s3://bucket/truststore.pem."
  }

  validation {
    condition     = try(var.domain.mutual_tls, null) == null || try(length(var.domain.mutual_tls.truststore_version) > 0, false)
    error_message = "domain.mutual_tls.truststore_version must be the version of the truststore, in a bucket with versioning: without it, who may write the object says who is trusted."
  }
}

variable "encryption" {
  description = "Whether a customer managed key encrypts the stream, which its producers need to use as well, and the logs; and its ARN."
  type        = object({ customer_managed = bool, key_arn = string })
  nullable    = false
}

variable "ingest" {
  description = "The mode, packing, throttles and compression of the API."
  type = object({
    mode                     = string
    packing                  = bool
    rate_limit               = number
    burst_limit              = number
    minimum_compression_size = number
  })
  nullable = false

  validation {
    condition     = contains(["direct", "receiver"], var.ingest.mode)
    error_message = "ingest.mode must be direct (POST /events goes straight into the stream) or receiver (through the receiver Lambda), not ${var.ingest.mode}."
  }

  validation {
    condition     = var.ingest.rate_limit > 0 && var.ingest.rate_limit <= 10000
    error_message = "ingest.rate_limit must lie between 1 and 10000 requests a second, which is what API Gateway gives an account; 0 would refuse everything."
  }

  validation {
    condition     = var.ingest.burst_limit > 0 && var.ingest.burst_limit <= 5000
    error_message = "ingest.burst_limit must lie between 1 and 5000 requests, which is what API Gateway gives an account; 0 would refuse everything."
  }

  validation {
    condition     = var.ingest.minimum_compression_size >= 0 && var.ingest.minimum_compression_size <= 10485760
    error_message = "ingest.minimum_compression_size must lie between 0 and 10485760 bytes, the range of API Gateway."
  }
}

variable "kinesis_stream" {
  description = "The Kinesis data stream before the delivery stream, which then takes the events; null, none."
  type        = object({ name = string, arn = string, retention_hours = number })
  default     = null
}

variable "logs" {
  description = "The days that logs are kept, and whether this stack owns the account-wide role of API Gateway's logs."
  type        = object({ retention_days = number, own_api_gateway_settings = bool })
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.logs.retention_days)
    error_message = "logs.retention_days must be one that CloudWatch Logs offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "name" {
  description = "The name that every resource starts with."
  type        = string
  nullable    = false
}

variable "receiver_zip" {
  description = "The path of the receiver's package."
  type        = string
  nullable    = false

  validation {
    condition     = fileexists(var.receiver_zip)
    error_message = "${var.receiver_zip} does not exist: run `python build.py` at the top of the project first."
  }
}

variable "stream" {
  description = "The delivery stream that takes the events."
  type        = object({ name = string, arn = string })
  nullable    = false
}

variable "usage_plan" {
  description = "The clients that get an API key each, and what each of them may send; null, no keys. A key authenticates nobody."
  type = object({
    clients     = list(string)
    rate_limit  = number
    burst_limit = number
    quota       = object({ limit = number, period = string })
  })

  validation {
    condition     = var.usage_plan == null || try(length(var.usage_plan.clients) > 0 && alltrue([for client in var.usage_plan.clients : can(regex("^[A-Za-z0-9_-]+$", client))]), false)
    error_message = "usage_plan.clients must name at least one client, of letters, digits, hyphens and underscores: every request needs a key then."
  }

  validation {
    condition     = var.usage_plan == null || try(var.usage_plan.rate_limit > 0 && var.usage_plan.burst_limit > 0, false)
    error_message = "usage_plan.rate_limit and usage_plan.burst_limit must be more than 0, or nothing would be let through."
  }

  validation {
    condition     = try(var.usage_plan.quota, null) == null || try(var.usage_plan.quota.limit > 0 && floor(var.usage_plan.quota.limit) == var.usage_plan.quota.limit && contains(["DAY", "WEEK", "MONTH"], var.usage_plan.quota.period), false)
    error_message = "usage_plan.quota must be a limit of whole requests, more than 0, in a period of DAY, WEEK or MONTH."
  }
}
