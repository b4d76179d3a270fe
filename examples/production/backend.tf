# Where Terraform keeps the state: copy this beside terraform/main.tf, with your own bucket, before the first `init`.
terraform {
  backend "s3" {
    bucket = "example-terraform-state"
    key    = "auditlake/terraform.tfstate"
    region = "us-east-1"

    # Whoever reads the state reads the values of API keys. A key of your own: kms_key_id = "arn:aws:kms:REGION:ACCOUNT:key/ID".
    encrypt = true

    # Two applies at once would lose one of them; from Terraform 1.10 on.
    use_lockfile = true
  }
}
