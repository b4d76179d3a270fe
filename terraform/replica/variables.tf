variable "encryption" {
  description = "kms_key_arn: a key of this account and region that encrypts the copies; null leaves it to S3's own."
  type        = object({ kms_key_arn = optional(string) })
  default     = {}
  nullable    = false

  validation {
    condition     = var.encryption.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.encryption.kms_key_arn))
    error_message = "encryption.kms_key_arn must be the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not an alias or an id."
  }
}

variable "bucket" {
  description = "The name of the bucket to make, unique in the world."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens."
  }
}

variable "name" {
  description = "The name of the stack whose events are copied, for the tags."
  type        = string
  default     = "auditlake"
  nullable    = false
}

variable "object_lock" {
  description = "The retention of what comes without one; give the stack's own, as a copy keeps the date of its original."
  type = object({
    mode  = optional(string, "GOVERNANCE")
    days  = optional(number)
    years = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.object_lock.mode)
    error_message = "object_lock.mode must be GOVERNANCE or COMPLIANCE, not ${var.object_lock.mode}."
  }

  validation {
    condition     = var.object_lock.days == null || var.object_lock.years == null
    error_message = "object_lock must give either days or years, because S3 takes one of them."
  }

  validation {
    condition     = alltrue([for retention in [var.object_lock.days, var.object_lock.years] : retention == null ? true : retention >= 1 && floor(retention) == retention])
    error_message = "object_lock.days and object_lock.years must be whole numbers from 1; neither means 365 days."
  }

  validation {
    condition     = (var.object_lock.days == null ? true : var.object_lock.days <= 36500) && (var.object_lock.years == null ? true : var.object_lock.years <= 100)
    error_message = "object_lock must end within 100 years (36500 days), the longest retention that S3 takes."
  }
}

variable "region" {
  description = "The AWS region of the copies."
  type        = string
  nullable    = false
}

variable "source_role_arn" {
  description = "The role that copies, alone may write here: the output replication_role_arn of the stack, arn:aws:iam::ACCOUNT:role/NAME-replication."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*]+$", var.source_role_arn))
    error_message = "source_role_arn must be the ARN of one IAM role (arn:aws:iam::ACCOUNT:role/NAME-replication)."
  }
}

variable "tags" {
  description = "Tags that every resource gets besides application = name."
  type        = map(string)
  default     = {}
  nullable    = false
}
