variable "account" {
  description = "The account's id, region and partition, of which ARNs are composed."
  type        = object({ id = string, region = string, partition = string })
  nullable    = false
}

variable "api" {
  description = "The API to post to: its endpoint, its execution ARN and stage, and how it authenticates."
  type        = object({ endpoint = string, execution_arn = string, stage = string, auth_mode = string })
  nullable    = false

  validation {
    condition     = var.api.auth_mode == "iam"
    error_message = "canary.enabled must be false when auth.mode is ${var.api.auth_mode}: the canary signs with its role, which only mode iam looks at."
  }
}

variable "audit_types" {
  description = "The types that have a partition of their own."
  type        = list(string)
  nullable    = false
}

variable "bucket" {
  description = "The bucket that keeps the events, and their prefix."
  type        = object({ name = string, arn = string, events_prefix = string })
  nullable    = false
}

variable "canary" {
  description = "Minutes between two events."
  type        = object({ interval_min = number })
  nullable    = false

  validation {
    condition     = contains([5, 10, 15, 20, 30, 60], var.canary.interval_min)
    error_message = "canary.interval_min must be 5, 10, 15, 20, 30 or 60: an event must have its time to arrive, and the hours be divided evenly."
  }

  validation {
    condition     = var.canary.interval_min * 60 >= var.buffering_interval_s
    error_message = "canary.interval_min must be at least buffering.interval_s (${var.buffering_interval_s} s): the canary looks for the event of two intervals ago, which would still be in the stream."
  }
}

variable "buffering_interval_s" {
  description = "How long the stream collects events before it writes an object, in seconds."
  type        = number
  nullable    = false
}

variable "canary_zip" {
  description = "The path of the canary's package."
  type        = string
  nullable    = false

  validation {
    condition     = fileexists(var.canary_zip)
    error_message = "${var.canary_zip} does not exist: run `python build.py` at the top of the project first."
  }
}

variable "encryption" {
  description = "Whether a customer managed key encrypts what the canary reads, and its ARN."
  type        = object({ customer_managed = bool, key_arn = string })
  nullable    = false
}

variable "logs" {
  description = "The days that logs are kept."
  type        = object({ retention_days = number })
  nullable    = false
}

variable "monitoring" {
  description = "The topic that the alarm goes to (null, no alarm), and where the runbook is."
  type        = object({ topic_arn = string, runbook_url = string })
  nullable    = false
}

variable "name" {
  description = "The name that every resource starts with."
  type        = string
  nullable    = false
}

variable "results_bucket" {
  description = "The bucket for query results."
  type        = object({ name = string, arn = string })
  nullable    = false
}

variable "table" {
  description = "The table to look in, and the workgroup to ask."
  type        = object({ database = string, name = string, workgroup = string })
  nullable    = false
}
