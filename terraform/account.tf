# Where the stack lives. Every name and ARN is composed from these, so that a plan knows them all: the local runtime reads
# its configuration from the plan, and an offline plan works once account_id is given.
data "aws_caller_identity" "current" {
  count = var.account_id == null ? 1 : 0
}

locals {
  account = {
    id        = var.account_id == null ? data.aws_caller_identity.current[0].account_id : var.account_id
    region    = var.region
    partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"
  }
}
