variable "account" {
  description = "The account's id, region and partition, of which ARNs are composed."
  type        = object({ id = string, region = string, partition = string })
  nullable    = false
}

variable "alarms" {
  description = "Where alarms go, where the runbook is, and from which values on they ring."
  type = object({
    enabled         = bool
    topic_arn       = string
    email           = string
    runbook_url     = string
    freshness_s     = number
    give_up_s       = number
    partitions      = number
    client_errors   = number
    server_errors   = number
    latency_p99_ms  = number
    timeout_portion = number
  })
  nullable = false

  validation {
    condition     = var.alarms.topic_arn == null || can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.alarms.topic_arn))
    error_message = "alarms.topic_arn must be the ARN of an SNS topic (arn:aws:sns:REGION:ACCOUNT:NAME), or null to have one made."
  }

  validation {
    condition     = var.alarms.topic_arn == null || try(split(":", var.alarms.topic_arn)[3] == var.account.region, false)
    error_message = "alarms.topic_arn must be a topic of ${var.account.region}, where the stack is: CloudWatch alarms go to no other region."
  }

  validation {
    condition     = var.alarms.email == null || var.alarms.topic_arn == null
    error_message = "alarms.email must be null when alarms.topic_arn is given: who listens to that topic is its owner's choice."
  }

  validation {
    condition     = var.alarms.give_up_s > (var.alarms.freshness_s == null ? max(900, 2 * var.buffering_interval_s) : var.alarms.freshness_s)
    error_message = "alarms.freshness_s must be less than alarms.give_up_s, or the warning would not come before the page."
  }

  validation {
    condition     = var.alarms.freshness_s == null ? true : var.alarms.freshness_s > var.buffering_interval_s
    error_message = "alarms.freshness_s must be more than buffering.interval_s (${var.buffering_interval_s}): every event waits that long, and the alarm would ring for nothing."
  }

  validation {
    condition     = var.alarms.give_up_s < 86400
    error_message = "alarms.give_up_s must be less than 86400: after 24 hours Firehose gives up, and what it held is lost."
  }

  validation {
    condition     = var.alarms.partitions >= 1 && var.alarms.partitions < 500
    error_message = "alarms.partitions must lie between 1 and 499: at 500 active partitions Firehose refuses more, and records go to errors/activePartitionExceeded."
  }

  validation {
    condition     = alltrue([for rate in [var.alarms.client_errors, var.alarms.server_errors, var.alarms.timeout_portion] : rate > 0 && rate < 1])
    error_message = "alarms.client_errors, alarms.server_errors and alarms.timeout_portion must be portions between 0 and 1, e.g. 0.05 for one in twenty."
  }

  validation {
    condition     = var.alarms.latency_p99_ms > 0 && var.alarms.latency_p99_ms < 29000
    error_message = "alarms.latency_p99_ms must lie between 0 and 29000 milliseconds, after which API Gateway has given up."
  }
}

variable "api" {
  description = "The API that takes the events: its name and stage."
  type        = object({ name = string, stage = string })
  nullable    = false
}

variable "authorizer" {
  description = "The authorizer function to watch: name and timeout in seconds; null, none."
  type        = object({ name = string, timeout_s = number })
  default     = null
}

variable "bucket" {
  description = "The bucket that keeps the events, and the prefix of what failed."
  type        = object({ name = string, errors_prefix = string })
  nullable    = false
}

variable "buffering_interval_s" {
  description = "How long the stream collects events before it writes an object, in seconds."
  type        = number
  nullable    = false
}

variable "encryption" {
  description = "Whether a customer managed key encrypts the topic, and its ARN."
  type        = object({ customer_managed = bool, key_arn = string })
  nullable    = false
}

variable "functions" {
  description = "The functions to watch: name and timeout in seconds by the part that each plays."
  type        = map(object({ name = string, timeout_s = number }))
  nullable    = false
}

variable "kinesis_stream" {
  description = "The Kinesis data stream to watch; null, none."
  type        = object({ name = string, arn = string, retention_hours = number })
  default     = null
}

variable "name" {
  description = "The name that every resource starts with."
  type        = string
  nullable    = false
}

variable "raw_backup" {
  description = "Whether the stream has a source backup to watch."
  type        = bool
  default     = false
  nullable    = false
}

variable "stream" {
  description = "The delivery stream to watch."
  type        = object({ name = string })
  nullable    = false
}

variable "workgroup" {
  description = "The Athena workgroup to watch."
  type        = string
  nullable    = false
}
