variable "account" {
  description = "The account's id, region and partition, of which ARNs are composed."
  type        = object({ id = string, region = string, partition = string })
  nullable    = false
}

variable "auth" {
  description = "Who may POST: mode iam or cognito, with the user pools and scopes."
  type        = object({ mode = string, cognito_user_pool_arns = list(string), cognito_scopes = list(string) })
  nullable    = false

  validation {
    condition     = contains(["iam", "cognito"], var.auth.mode)
    error_message = "auth.mode must be iam or cognito, not ${var.auth.mode}."
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

variable "kms_key_arn" {
  description = "The key of the stream, which its producers need to use as well; null when AWS owns it."
  type        = string
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
