variable "account" {
  description = "The account's id, region and partition, of which ARNs are composed."
  type        = object({ id = string, region = string, partition = string })
  nullable    = false
}

variable "encryption" {
  description = "Whether a customer managed key encrypts the log, and its ARN."
  type        = object({ customer_managed = bool, key_arn = string })
  nullable    = false
}

variable "logs" {
  description = "The days that logs are kept."
  type        = object({ retention_days = number })
  nullable    = false
}

variable "name" {
  description = "The name that every resource starts with."
  type        = string
  nullable    = false
}

variable "stage_arn" {
  description = "The ARN of the API's stage, which the web ACL stands before."
  type        = string
  nullable    = false
}

variable "waf" {
  description = "The limits of the web ACL."
  type        = object({ requests_per_5_min = number, max_body_bytes = number, inspected_body_kib = number })
  nullable    = false

  validation {
    condition     = var.waf.requests_per_5_min >= 10 && var.waf.requests_per_5_min <= 2000000000 && floor(var.waf.requests_per_5_min) == var.waf.requests_per_5_min
    error_message = "waf.requests_per_5_min must be a whole number between 10 and 2000000000, the requests from one address that WAF can count."
  }

  validation {
    condition     = var.waf.max_body_bytes >= 1024 && var.waf.max_body_bytes <= 10485760 && floor(var.waf.max_body_bytes) == var.waf.max_body_bytes
    error_message = "waf.max_body_bytes must be a whole number between 1024 and 10485760 bytes, which is what API Gateway takes."
  }

  validation {
    condition     = contains([16, 32, 48, 64], var.waf.inspected_body_kib)
    error_message = "waf.inspected_body_kib must be 16, 32, 48 or 64, which is what WAF offers; more than 16 costs more."
  }
}
