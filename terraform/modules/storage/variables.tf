variable "account" {
  description = "The account's id, region and partition, of which ARNs are composed."
  type        = object({ id = string, region = string, partition = string })
  nullable    = false
}

variable "administrator_arns" {
  description = "The principals who alone may change what protects the bucket; empty leaves it to IAM."
  type        = list(string)
  nullable    = false
}

variable "encryption" {
  description = "Whether a customer managed key encrypts both buckets, and its ARN; else S3's own."
  type        = object({ customer_managed = bool, key_arn = string })
  nullable    = false
}

variable "lifecycle_days" {
  description = "Days after which objects move or go; null means never, for noncurrent as long as the retention."
  type = object({
    glacier_ir      = number
    deep_archive    = number
    expire          = number
    noncurrent      = number
    abort_multipart = number
    athena_results  = number
  })
  nullable = false

  validation {
    condition     = alltrue([for days in values(var.lifecycle_days) : days == null ? true : days >= 1 && floor(days) == days])
    error_message = "lifecycle_days must hold whole numbers of days from 1, or null for never."
  }

  validation {
    condition     = var.lifecycle_days.abort_multipart != null && var.lifecycle_days.athena_results != null
    error_message = "lifecycle_days.abort_multipart and lifecycle_days.athena_results must be given: unfinished uploads and old results would be paid for ever."
  }

  validation {
    condition     = anytrue([var.lifecycle_days.glacier_ir == null, var.lifecycle_days.deep_archive == null]) ? true : var.lifecycle_days.deep_archive >= var.lifecycle_days.glacier_ir + 90
    error_message = "lifecycle_days.deep_archive must come at least 90 days after lifecycle_days.glacier_ir, because S3 charges Glacier Instant Retrieval for 90 days in any case."
  }

  validation {
    condition = var.lifecycle_days.expire == null ? true : var.lifecycle_days.expire > max([
      for days in [var.lifecycle_days.glacier_ir, var.lifecycle_days.deep_archive, 0] : days == null ? 0 : days
    ]...)
    error_message = "lifecycle_days.expire must come after lifecycle_days.glacier_ir and lifecycle_days.deep_archive, or S3 refuses the rules."
  }

  validation {
    condition     = var.lifecycle_days.expire == null ? true : var.lifecycle_days.expire >= local.retention_days
    error_message = "lifecycle_days.expire must be at least the retention of object_lock, ${local.retention_days} days: S3 would hide locked events behind delete markers before their retention ends."
  }

  validation {
    condition     = var.lifecycle_days.noncurrent == null ? true : var.lifecycle_days.noncurrent >= local.retention_days
    error_message = "lifecycle_days.noncurrent must be at least the retention of object_lock, ${local.retention_days} days, so that an event that somebody hid or overwrote outlives it."
  }
}

variable "name" {
  description = "The name that every resource starts with."
  type        = string
  nullable    = false
}

variable "object_lock" {
  description = "How long nobody can delete or overwrite what is stored: mode, and days or years; neither means 365 days."
  type        = object({ enabled = bool, mode = string, days = number, years = number })
  nullable    = false

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
    error_message = "object_lock.days and object_lock.years must be whole numbers from 1; a lock without retention is enabled = false."
  }

  validation {
    condition     = (var.object_lock.days == null ? true : var.object_lock.days <= 36500) && (var.object_lock.years == null ? true : var.object_lock.years <= 100)
    error_message = "object_lock must end within 100 years (36500 days), the longest retention that S3 takes."
  }
}

variable "raw_backup" {
  description = "Whether the bucket has a prefix for records as they came."
  type        = bool
  default     = false
  nullable    = false
}

variable "reader_account_ids" {
  description = "The accounts that may read the events; their own IAM policies say who of them."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for id in var.reader_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "subscription.account_ids must hold the 12 digits of AWS accounts."
  }
}

variable "writer_role_arn" {
  description = "The role of the delivery stream, which alone may write."
  type        = string
  nullable    = false
}
