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

# What a stack is, as it was when it was made. Changed, Terraform would replace the bucket and the delivery stream, or, in another
# region or account, find nothing of the stack and make a second one, and forget the first.
resource "terraform_data" "identity" {
  input = {
    name        = var.name
    account_id  = local.account.id
    region      = local.account.region
    object_lock = var.object_lock.enabled
  }

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = self.output.name == var.name
      error_message = "name must stay ${self.output.name}, because buckets and delivery streams cannot be renamed: make a second stack with another state (docs/upgrading.md)."
    }

    postcondition {
      condition     = self.output.account_id == local.account.id
      error_message = "account_id must stay ${self.output.account_id}, where this state's stack is, not ${local.account.id}: use its credentials, or make a second stack with another state (docs/upgrading.md)."
    }

    postcondition {
      condition     = self.output.region == local.account.region
      error_message = "region must stay ${self.output.region}, where this state's stack is: make a second stack with another state (docs/upgrading.md)."
    }

    postcondition {
      condition     = self.output.object_lock == var.object_lock.enabled
      error_message = "object_lock.enabled must stay ${self.output.object_lock}, because S3 decides it when a bucket is made: make a second stack with another state (docs/upgrading.md)."
    }
  }
}
