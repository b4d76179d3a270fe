variable "account" {
  description = "The account's id, region and partition, of which ARNs are composed."
  type        = object({ id = string, region = string, partition = string })
  nullable    = false
}

variable "administrator_arns" {
  description = "The principals who alone may change the key's policy; empty leaves it to IAM."
  type        = list(string)
  nullable    = false
}

variable "encryption" {
  description = "The mode, a key that exists (null makes one), and who alone may delete the key (null, nobody)."
  type = object({
    mode                      = string
    kms_key_arn               = string
    break_glass_principal_arn = string
  })
  nullable = false

  validation {
    condition     = contains(["aws_owned", "customer_managed"], var.encryption.mode)
    error_message = "encryption.mode must be aws_owned or customer_managed, not ${var.encryption.mode}."
  }

  validation {
    condition     = var.encryption.kms_key_arn == null || var.encryption.mode == "customer_managed"
    error_message = "encryption.kms_key_arn must be null unless encryption.mode is customer_managed, because nothing would use the key."
  }

  validation {
    condition     = var.encryption.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.encryption.kms_key_arn))
    error_message = "encryption.kms_key_arn must be the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not an alias or an id, because IAM policies name it."
  }

  validation {
    condition     = var.encryption.kms_key_arn == null || try(split(":", var.encryption.kms_key_arn)[3] == var.account.region, false)
    error_message = "encryption.kms_key_arn must be a key of ${var.account.region}, where the stack is: Firehose, S3 and CloudWatch Logs use none of another region."
  }

  validation {
    condition     = var.encryption.break_glass_principal_arn == null || (var.encryption.mode == "customer_managed" && var.encryption.kms_key_arn == null)
    error_message = "encryption.break_glass_principal_arn must be null unless this stack makes the key (mode customer_managed without kms_key_arn): the policy of another key is not this stack's."
  }

  validation {
    condition     = var.encryption.break_glass_principal_arn == null || length(var.administrator_arns) > 0
    error_message = "encryption.break_glass_principal_arn needs administrator_arns: without them whoever has kms:PutKeyPolicy takes the guard out of the key's policy first."
  }

  validation {
    condition     = var.encryption.break_glass_principal_arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*]+$", var.encryption.break_glass_principal_arn))
    error_message = "encryption.break_glass_principal_arn must be the ARN of one IAM role or user, without wildcards."
  }
}

variable "reader_account_ids" {
  description = "The accounts that may decrypt what they read from the bucket; only a key of this stack's making can let them."
  type        = list(string)
  nullable    = false
}

variable "name" {
  description = "The name that every resource starts with."
  type        = string
  nullable    = false
}
