variable "account" {
  description = "The account's id, region and partition, of which ARNs are composed."
  type        = object({ id = string, region = string, partition = string })
  nullable    = false
}

variable "encryption" {
  description = "Whether a customer managed key encrypts the data stream, and its ARN."
  type        = object({ customer_managed = bool, key_arn = string })
  nullable    = false
}

variable "kinesis_source" {
  description = "The data stream's mode, its shards if it is provisioned, and the hours that it keeps records."
  type        = object({ stream_mode = string, shard_count = number, retention_hours = number })
  nullable    = false

  validation {
    condition     = contains(["ON_DEMAND", "PROVISIONED"], var.kinesis_source.stream_mode)
    error_message = "kinesis_source.stream_mode must be ON_DEMAND or PROVISIONED, not ${var.kinesis_source.stream_mode}."
  }

  validation {
    condition     = (var.kinesis_source.stream_mode == "PROVISIONED") == (var.kinesis_source.shard_count != null)
    error_message = "kinesis_source.shard_count must be given with stream_mode PROVISIONED, and with it only: on demand, AWS decides how many shards there are."
  }

  validation {
    condition     = var.kinesis_source.shard_count == null ? true : var.kinesis_source.shard_count >= 1 && floor(var.kinesis_source.shard_count) == var.kinesis_source.shard_count
    error_message = "kinesis_source.shard_count must be a whole number of at least 1; a shard takes 1,000 records and 1 MiB a second."
  }

  validation {
    condition     = var.kinesis_source.retention_hours >= 24 && var.kinesis_source.retention_hours <= 8760 && floor(var.kinesis_source.retention_hours) == var.kinesis_source.retention_hours
    error_message = "kinesis_source.retention_hours must be a whole number between 24 and 8760, the range of Kinesis."
  }
}

variable "name" {
  description = "The name that every resource starts with."
  type        = string
  nullable    = false
}
