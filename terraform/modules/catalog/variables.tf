variable "account" {
  description = "The account's id, region and partition, of which ARNs are composed."
  type        = object({ id = string, region = string, partition = string })
  nullable    = false
}

variable "audit_types" {
  description = "The types that have a partition of their own, besides other."
  type        = list(string)
  nullable    = false
}

variable "bucket" {
  description = "The bucket that keeps the events, and the prefix under which it keeps them."
  type        = object({ name = string, arn = string, events_prefix = string })
  nullable    = false
}

variable "catalog" {
  description = "The Glue database (null takes the schema's), the bytes a query may scan, and the crawler's cron expression (null, no crawler)."
  type        = object({ database = string, scan_cutoff_bytes = number, crawler_schedule = string })
  nullable    = false

  validation {
    condition     = var.catalog.database == null || can(regex("^[a-z0-9_]{1,255}$", var.catalog.database))
    error_message = "catalog.database must consist of lower-case letters, digits and underscores, because Athena takes no others in a name."
  }

  validation {
    condition     = var.catalog.scan_cutoff_bytes >= 10000000
    error_message = "catalog.scan_cutoff_bytes must be at least 10000000, the least that Athena takes (and charges for)."
  }

  validation {
    condition     = var.catalog.crawler_schedule == null || can(regex("^cron\\(.+\\)$", var.catalog.crawler_schedule))
    error_message = "catalog.crawler_schedule must be a cron expression as Glue takes it, e.g. cron(0 3 * * ? *), or null for no crawler."
  }
}

variable "encryption" {
  description = "Whether a customer managed key encrypts query results, and its ARN; else S3's own."
  type        = object({ customer_managed = bool, key_arn = string })
  nullable    = false
}

variable "glue_dir" {
  description = "The folder with events.schema.json and queries/*.sql."
  type        = string
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
