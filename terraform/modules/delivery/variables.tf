variable "account" {
  description = "The account's id, region and partition, of which ARNs are composed."
  type        = object({ id = string, region = string, partition = string })
  nullable    = false
}

variable "audit_types" {
  description = "The types that get a partition of their own; everything else goes to other."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.audit_types) > 0
    error_message = "audit_types must name at least one type: the functions refuse to start without, and every event would fail."
  }

  validation {
    condition     = alltrue([for type in var.audit_types : can(regex("^[A-Za-z0-9][A-Za-z0-9._-]*$", type))])
    error_message = "audit_types must consist of letters, digits, dots, underscores and hyphens, because they become part of S3 keys and of Athena's list of partitions."
  }

  validation {
    condition     = length(var.audit_types) == length(distinct(var.audit_types))
    error_message = "audit_types must name each type once."
  }

  validation {
    condition     = !contains(var.audit_types, "other")
    error_message = "audit_types must not name other, which is where everything goes that is not listed."
  }
}

variable "bucket" {
  description = "The bucket and the prefixes under which events, what failed and, unless null, records as they came are stored."
  type        = object({ name = string, arn = string, events_prefix = string, errors_prefix = string, raw_prefix = optional(string) })
  nullable    = false

  validation {
    condition     = var.bucket.raw_prefix == null ? true : endswith(var.bucket.raw_prefix, "/") && !startswith(var.bucket.raw_prefix, var.bucket.events_prefix) && !startswith(var.bucket.raw_prefix, var.bucket.errors_prefix)
    error_message = "bucket.raw_prefix must end with / and lie neither under bucket.events_prefix nor under bucket.errors_prefix, because Athena and redrive would read raw records."
  }

  validation {
    condition     = !startswith(var.bucket.errors_prefix, var.bucket.events_prefix)
    error_message = "bucket.errors_prefix must not lie under bucket.events_prefix, because Athena would read error records as events."
  }

  validation {
    condition     = endswith(var.bucket.events_prefix, "/") && endswith(var.bucket.errors_prefix, "/")
    error_message = "bucket.events_prefix and bucket.errors_prefix must end with /, because Firehose joins the prefix and the file name as they are."
  }
}

variable "buffering" {
  description = "How much and how long the stream collects before it writes an object of a partition."
  type        = object({ size_mib = number, interval_s = number })
  nullable    = false

  validation {
    condition     = var.buffering.size_mib >= 64 && var.buffering.size_mib <= 128
    error_message = "buffering.size_mib must lie between 64 and 128: BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning or record format conversion is enabled, and Firehose takes 128 at most."
  }

  validation {
    condition     = var.buffering.interval_s >= 60 && var.buffering.interval_s <= 900
    error_message = "buffering.interval_s must lie between 60 and 900: BufferingHints.IntervalInSeconds must be at least 60 seconds when Dynamic Partitioning is enabled, and Firehose takes 900 at most."
  }
}

variable "encryption" {
  description = "Whether a customer managed key encrypts the bucket, the stream and the logs, and its ARN."
  type        = object({ customer_managed = bool, key_arn = string })
  nullable    = false
}

variable "event_window" {
  description = "The days around receipt within which an event is partitioned by its own date."
  type        = object({ days_back = number, days_ahead = number })
  nullable    = false

  validation {
    condition     = min(var.event_window.days_back, var.event_window.days_ahead) >= 0
    error_message = "event_window.days_back and event_window.days_ahead must not be negative."
  }

  validation {
    condition     = floor(var.event_window.days_back) == var.event_window.days_back && floor(var.event_window.days_ahead) == var.event_window.days_ahead
    error_message = "event_window.days_back and event_window.days_ahead must be whole days."
  }
}

variable "kinesis_stream" {
  description = "The Kinesis data stream that the delivery stream reads; null, none."
  type        = object({ name = string, arn = string, retention_hours = number })
  default     = null
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

variable "table" {
  description = "The Glue table whose columns the stream converts to, and its partition keys in the order of the path."
  type        = object({ database = string, name = string, partition_keys = list(string) })
  nullable    = false
}

variable "transform_zip" {
  description = "The path of the transform's package."
  type        = string
  nullable    = false

  validation {
    condition     = fileexists(var.transform_zip)
    error_message = "${var.transform_zip} does not exist: run `python build.py` at the top of the project first."
  }
}
