output "role_arn" {
  description = "The role that copies, which the policy of the copy's bucket names."
  value       = "arn:${var.account.partition}:iam::${var.account.id}:role/${local.role_name}"
}
