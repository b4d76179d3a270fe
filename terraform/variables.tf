variable "account_id" {
  description = "The AWS account, 12 digits; null asks AWS. Given, a plan needs no network."
  type        = string
  default     = null

  validation {
    condition     = var.account_id == null || can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account, or null to ask AWS."
  }
}

variable "audit_types" {
  description = "The closed list of partitions by kind: an event goes to its own type if listed, else to the part before its first dot if listed, else to other."
  type        = list(string)
  default     = ["login", "logout", "user", "role", "order", "payment", "document", "config", "export", "aws", "github"]
  nullable    = false
}

variable "auth" {
  description = "Who may POST: mode iam (SigV4, execute-api:Invoke) or cognito (a token of one of the user pools with one of the scopes; no scopes means an ID token)."
  type = object({
    mode                   = optional(string, "iam")
    cognito_user_pool_arns = optional(list(string), [])
    cognito_scopes         = optional(list(string), [])
  })
  default  = {}
  nullable = false
}

variable "buffering" {
  description = "How long the stream collects events of one partition before it writes an object: size_mib or interval_s, whichever comes first. A longer interval gives fewer, larger, cheaper objects."
  type = object({
    size_mib = optional(number, 128)
    # The shortest interval there is: an event is queryable within two or three minutes. Raise it to 900 once nobody waits for
    # single events, because 60 s means up to 1,440 objects a day and partition.
    interval_s = optional(number, 60)
  })
  default  = {}
  nullable = false
}

variable "catalog" {
  description = "The Glue database (null takes the name in glue/events.schema.json; another lets two stacks share an account), the bytes an Athena query may scan, and the cron expression of a Glue crawler (null, none: partition projection needs none)."
  type = object({
    database          = optional(string)
    scan_cutoff_bytes = optional(number, 10737418240) # 10 GiB, about 5 cents
    crawler_schedule  = optional(string)
  })
  default  = {}
  nullable = false
}

variable "event_window" {
  description = "The days around receipt within which an event is partitioned by its own date; outside, by the date of receipt, and the row says late."
  type = object({
    days_back  = optional(number, 7)
    days_ahead = optional(number, 1)
  })
  default  = {}
  nullable = false
}

variable "ingest" {
  description = <<-TEXT
    How events come in.
    - mode: direct (POST /events goes straight into the stream) or receiver (through the receiver Lambda).
    - packing: whether the receiver puts events of one type and day into shared records, because Firehose bills each record as a multiple of 5 KB.
    - rate_limit, burst_limit: requests a second and at once that the stage lets through.
    - minimum_compression_size: answers of at least so many bytes are compressed; any value also makes API Gateway unpack gzip bodies.
  TEXT
  type = object({
    mode    = optional(string, "direct")
    packing = optional(bool, true)
    # Below the 1,000 requests/s that a stream takes in the smaller regions (A1), so that the stage says 429 before the stream says 503.
    rate_limit               = optional(number, 500)
    burst_limit              = optional(number, 500)
    minimum_compression_size = optional(number, 1024)
  })
  default  = {}
  nullable = false
}

variable "kms_key_arn" {
  description = "A customer managed KMS key for the buckets and the stream; null uses keys that AWS owns. The stack makes no key: destroying it would destroy the events that Object Lock keeps."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not an alias or an id, because IAM policies name it."
  }
}

variable "lifecycle_days" {
  description = <<-TEXT
    Days after which objects move or go; null means never.
    - glacier_ir: to Glacier Instant Retrieval, which Athena reads as before.
    - deep_archive: to Deep Archive, which Athena cannot read: queries no longer find these events until they are restored.
    - expire: events are deleted; not before their retention ends.
    - noncurrent: versions that were overwritten or hidden by a delete marker are deleted; null means as long as the retention.
    - abort_multipart: unfinished uploads are removed.
    - athena_results: results of queries are deleted.
  TEXT
  type = object({
    glacier_ir      = optional(number, 90)
    deep_archive    = optional(number)
    expire          = optional(number)
    noncurrent      = optional(number)
    abort_multipart = optional(number, 7)
    athena_results  = optional(number, 30)
  })
  default  = {}
  nullable = false
}

variable "logs" {
  description = "CloudWatch Logs: the days they are kept, and whether this stack owns the account-wide role that lets API Gateway write logs. There is one such setting per account and region: set it to true only if `aws apigateway get-account` shows no cloudwatchRoleArn and no other stack sets it."
  type = object({
    retention_days           = optional(number, 90)
    own_api_gateway_settings = optional(bool, false)
  })
  default  = {}
  nullable = false
}

variable "name" {
  description = "The name that every resource starts with; another lets two stacks share an account."
  type        = string
  default     = "auditlake"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must consist of lower-case letters, digits and hyphens, start with a letter and end with a letter or digit, because buckets are named after it."
  }

  validation {
    condition     = length(var.name) <= 32
    error_message = "name must have at most 32 characters, because NAME-athena-results-ACCOUNT must fit the 63 of a bucket name."
  }
}

variable "object_lock" {
  description = <<-TEXT
    How long nobody can delete or overwrite what is stored.
    - enabled: false only by explicit choice; it cannot be changed later.
    - mode: GOVERNANCE (those with s3:BypassGovernanceRetention can still delete, for trying out) or COMPLIANCE (nobody can, the account's root included).
    - days or years: the retention; neither means 365 days.
  TEXT
  type = object({
    enabled = optional(bool, true)
    mode    = optional(string, "GOVERNANCE")
    days    = optional(number)
    years   = optional(number)
  })
  default  = {}
  nullable = false
}

variable "region" {
  description = "The AWS region."
  type        = string
  default     = "us-east-1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the code of an AWS region, e.g. eu-central-1."
  }
}

variable "tags" {
  description = "Tags that every resource gets besides application = name."
  type        = map(string)
  default     = {}
  nullable    = false
}
