"""The path from post to query on one machine, driven by a Terraform plan."""
