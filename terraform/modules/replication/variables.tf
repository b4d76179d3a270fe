variable "account" {
  description = "The account's id, region and partition, of which ARNs are composed."
  type        = object({ id = string, region = string, partition = string })
  nullable    = false
}

variable "bucket" {
  description = "The bucket that is copied, with Object Lock if it has one."
  type        = object({ name = string, arn = string })
  nullable    = false
}

variable "encryption" {
  description = "Whether a customer managed key encrypts the bucket, and its ARN."
  type        = object({ customer_managed = bool, key_arn = string })
  nullable    = false
}

variable "monitoring" {
  description = "The topic of the alarm (null makes none) and where the runbook is."
  type        = object({ topic_arn = string, runbook_url = string })
  nullable    = false
}

variable "name" {
  description = "The name that every resource starts with."
  type        = string
  nullable    = false
}

variable "replication" {
  description = "The bucket that the copies go to, of which account (null: this one), its key (null: S3's own), the storage class, and whether S3 promises 15 minutes."
  type = object({
    bucket_arn    = string
    account_id    = string
    kms_key_arn   = string
    storage_class = string
    time_control  = bool
  })
  nullable = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]{3,63}$", var.replication.bucket_arn))
    error_message = "replication.bucket_arn must be the ARN of a bucket (arn:aws:s3:::NAME), not ${var.replication.bucket_arn}."
  }

  validation {
    condition     = var.replication.bucket_arn != var.bucket.arn
    error_message = "replication.bucket_arn must be another bucket than the events' own: S3 copies no bucket into itself."
  }

  validation {
    condition     = var.replication.account_id == null || can(regex("^[0-9]{12}$", var.replication.account_id))
    error_message = "replication.account_id must be the 12 digits of an AWS account, or null for this one."
  }

  validation {
    condition     = var.replication.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.replication.kms_key_arn))
    error_message = "replication.kms_key_arn must be the ARN of a key in the copy's region (arn:aws:kms:REGION:ACCOUNT:key/ID), not an alias or an id."
  }

  validation {
    condition     = !var.encryption.customer_managed || var.replication.kms_key_arn != null
    error_message = "replication.kms_key_arn must be given when encryption.mode is customer_managed: S3 copies what a key encrypts only under a key of the copy's region."
  }

  validation {
    condition     = var.encryption.customer_managed || var.replication.kms_key_arn == null
    error_message = "replication.kms_key_arn must be null unless encryption.mode is customer_managed: S3 copies what its own keys encrypt under its own keys, and refuses a rule that names another."
  }

  validation {
    condition     = contains(["STANDARD", "STANDARD_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"], var.replication.storage_class)
    error_message = "replication.storage_class must be STANDARD, STANDARD_IA, GLACIER_IR, GLACIER or DEEP_ARCHIVE, not ${var.replication.storage_class}."
  }
}
