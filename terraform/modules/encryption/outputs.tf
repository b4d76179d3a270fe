# Whether there is a key is known at plan time, its ARN is not: conditions look at the first.
output "encryption" {
  description = "Whether a customer managed key encrypts the stack, and its ARN."
  value = {
    customer_managed = local.customer_managed
    key_arn          = local.makes_key ? aws_kms_key.events[0].arn : var.encryption.kms_key_arn
  }
}
