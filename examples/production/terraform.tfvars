# What a security review asks for. Put your own account, roles and addresses in.

# Nobody, the account's root included, deletes or changes an event for seven years. This cannot be undone.
object_lock = { mode = "COMPLIANCE", years = 7 }

# A key of this account, whose every use CloudTrail shows; only the break-glass role may ever delete it.
encryption = {
  mode                      = "customer_managed"
  break_glass_principal_arn = "arn:aws:iam::123456789012:role/break-glass"
}

# Who alone may change what protects the log. Whoever runs Terraform must be among them.
administrator_arns = ["arn:aws:iam::123456789012:role/audit-administrator"]

# Athena reads Glacier Instant Retrieval as before; what is there costs a sixth.
lifecycle_days = { glacier_ir = 90 }

# Fewer, larger objects: nobody waits for a single event for less than five minutes.
buffering = { size_mib = 128, interval_s = 300 }

# Every 15 minutes one event goes all the way, and its absence rings.
canary = { enabled = true }
alarms = {
  email       = "audit-oncall@example.com"
  runbook_url = "https://wiki.example.com/auditlake/runbook"
}

# This stack is the first in the account and region that lets API Gateway write logs.
logs = { own_api_gateway_settings = true, retention_days = 365 }

tags = { data-classification = "audit", owner = "security" }
