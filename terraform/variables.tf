variable "access" {
  description = <<-TEXT
    Who can call the API at all, before anybody is authenticated; all others are denied. Empty lists restrict nothing.
    - account_ids: other AWS accounts whose principals may call it, if their own policies allow that too; with auth.mode iam only.
    - cidrs: the networks that requests may come from.
    - vpc_endpoint_ids: the VPC endpoints for execute-api; the API is private then, without an address on the internet.
  TEXT
  type = object({
    account_ids      = optional(list(string), [])
    cidrs            = optional(list(string), [])
    vpc_endpoint_ids = optional(list(string), [])
  })
  default  = {}
  nullable = false
}

variable "account_id" {
  description = "The AWS account, 12 digits; null asks AWS. Given, a plan needs no network."
  type        = string
  default     = null

  validation {
    condition     = var.account_id == null || can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account, or null to ask AWS."
  }
}

variable "administrator_arns" {
  description = "The IAM principals (with * for a part of the name) who alone may change the bucket's policy, versioning, lifecycle, lock and encryption, and the key's policy. Who runs Terraform must be among them, or its next apply is refused. Empty leaves it to IAM."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.administrator_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*].*$", arn))])
    error_message = "administrator_arns must hold ARNs of IAM roles or users (arn:aws:iam::ACCOUNT:role/NAME), whose name does not begin with *."
  }
}

variable "alarms" {
  description = <<-TEXT
    CloudWatch alarms and a dashboard of the eight stages; about 20 alarms, some 4 US dollars a month.
    - topic_arn: the SNS topic that alarms go to; null makes one. email: who gets its messages, once the mail of AWS is confirmed.
    - runbook_url: where your copy of docs/runbook.md is; each alarm's description ends with its section there.
    - freshness_s, give_up_s: seconds that the oldest undelivered event may be old, before the warning and before the page.
    - partitions: open partitions, of the 500 that there can be.
    - client_errors, server_errors: portions of requests answered 4xx and 5xx.
    - latency_p99_ms: milliseconds that 99 of 100 requests keep under. timeout_portion: of a function's timeout.
  TEXT
  type = object({
    enabled         = optional(bool, true)
    topic_arn       = optional(string)
    email           = optional(string)
    runbook_url     = optional(string, "docs/runbook.md")
    freshness_s     = optional(number)        # twice buffering.interval_s, at least 900
    give_up_s       = optional(number, 21600) # a night before the 24 h are over
    partitions      = optional(number, 400)
    client_errors   = optional(number, 0.05)
    server_errors   = optional(number, 0.01)
    latency_p99_ms  = optional(number, 3000)
    timeout_portion = optional(number, 0.8)
  })
  default  = {}
  nullable = false
}

variable "audit_types" {
  description = "The closed list of partitions by kind: an event goes to its own type if listed, else to the part before its first dot if listed, else to other."
  type        = list(string)
  default     = ["login", "logout", "user", "role", "order", "payment", "document", "config", "export", "aws", "github"]
  nullable    = false
}

variable "auth" {
  description = <<-TEXT
    Who may POST; the row's principal says who did.
    - mode: iam (SigV4, execute-api:Invoke), cognito (a token of one of the user pools with one of the scopes; no scopes means an ID token) or jwt (a token of any OpenID Connect issuer, verified by a Lambda).
    - jwt.issuer, audiences: what tokens name as iss, to the letter, and as aud, one of these.
    - jwt.jwks_url: where the issuer's keys are; null looks it up at the issuer's /.well-known/openid-configuration.
    - jwt.required_claims, required_scopes: what a token must hold besides; without it the bearer is refused with 403.
    - jwt.principal_claim: the claim that becomes the principal. clock_skew_s: seconds that clocks may differ.
    - jwt.result_ttl_s: seconds for which API Gateway keeps the answer for a token: so long does one count that has expired meanwhile.
  TEXT
  type = object({
    mode                   = optional(string, "iam")
    cognito_user_pool_arns = optional(list(string), [])
    cognito_scopes         = optional(list(string), [])
    jwt = optional(object({
      issuer          = string
      audiences       = list(string)
      jwks_url        = optional(string)
      required_claims = optional(map(string), {})
      required_scopes = optional(list(string), [])
      principal_claim = optional(string, "sub")
      clock_skew_s    = optional(number, 60)
      result_ttl_s    = optional(number, 300)
    }))
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

variable "canary" {
  description = "A function that posts an event every interval_min minutes through the front door, finds it by Athena later, and raises an alarm when it is not there. Off by default; at 15 minutes it costs about a US dollar a month."
  type = object({
    enabled      = optional(bool, false)
    interval_min = optional(number, 15)
  })
  default  = {}
  nullable = false

  validation {
    condition     = !var.canary.enabled || (try(var.domain.mutual_tls, null) == null && var.usage_plan == null && length(var.access.cidrs) + length(var.access.vpc_endpoint_ids) == 0)
    error_message = "canary.enabled must be false with domain.mutual_tls, usage_plan, access.cidrs or access.vpc_endpoint_ids: the canary has no certificate and no API key, and comes from an address of AWS."
  }

  validation {
    condition     = !var.canary.enabled || var.alarms.enabled
    error_message = "canary.enabled must be false when alarms.enabled is: nobody would hear of it when an event does not arrive."
  }
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

variable "domain" {
  description = <<-TEXT
    A domain name of your own for the API; null, the one that API Gateway gives. Output domain says what its DNS record points to.
    - name, certificate_arn: the host name, and the ACM certificate for it, in this region. base_path: what paths begin with.
    - mutual_tls: clients must show a certificate that the truststore (a PEM file in S3, in this version) vouches for, besides what auth.mode asks for. The API's default address is switched off then, because it asks for none.
    - ownership_certificate_arn: a public ACM certificate, if certificate_arn was imported or is of a private CA, and mutual_tls is used.
  TEXT
  type = object({
    name                      = string
    certificate_arn           = string
    base_path                 = optional(string, "")
    ownership_certificate_arn = optional(string)
    mutual_tls                = optional(object({ truststore_uri = string, truststore_version = string }))
  })
  default = null
}

variable "encryption" {
  description = <<-TEXT
    Which keys encrypt the stream, the buckets, the logs and the results of queries.
    - mode: aws_owned (keys that AWS keeps, free of charge) or customer_managed (a KMS key of this account, whose every use CloudTrail shows).
    - kms_key_arn: with customer_managed, a key that exists, whose policy is its owner's; null makes one that rotates each year.
    - break_glass_principal_arn: the only IAM role or user who may schedule the deletion of the key that this stack makes, or disable it, and it needs administrator_arns; null, nobody. Object Lock does not save events whose key is gone.
  TEXT
  type = object({
    mode                      = optional(string, "aws_owned")
    kms_key_arn               = optional(string)
    break_glass_principal_arn = optional(string)
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

variable "kinesis_source" {
  description = <<-TEXT
    A Kinesis data stream before the delivery stream, {} with these settings; null, none: events are put to Firehose directly. What
    Firehose cannot deliver then waits as long as the data stream keeps it, and others can read along. Nobody can put to Firehose itself.
    - stream_mode: ON_DEMAND (AWS makes shards as they are needed) or PROVISIONED (shard_count of them, 1,000 records and 1 MiB a second each).
    - retention_hours: how long the data stream keeps records, 24 to 8760; more than 24 costs extra.
  TEXT
  type = object({
    stream_mode     = optional(string, "ON_DEMAND")
    shard_count     = optional(number)
    retention_hours = optional(number, 168) # a week
  })
  default = null
}

variable "lifecycle_days" {
  description = <<-TEXT
    Days after which objects move or go; null means never, where no default is given.
    - glacier_ir: to Glacier Instant Retrieval, which Athena reads as before; after 90 days by default, 0 means never.
    - deep_archive: to Deep Archive, which Athena cannot read: queries no longer find these events until they are restored.
    - expire: events are deleted; not before their retention ends.
    - noncurrent: versions that were overwritten or hidden by a delete marker are deleted; null means as long as the retention.
    - abort_multipart: unfinished uploads are removed, after 7 days by default.
    - athena_results: results of queries are deleted, after 30 days by default.
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
    retention_days           = optional(number, 365)
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

variable "raw_backup" {
  description = "Whether the stream also stores each record as it came, before the transform, as GZIP under raw/ of the bucket of events, locked as they are and under the same key. AWS lets nobody switch it off again, and nor does auditlake up."
  type        = bool
  default     = false
  nullable    = false
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

variable "replication" {
  description = <<-TEXT
    Copies every event, with its retention, to a bucket in another region or account; null copies nothing. terraform/replica makes the bucket.
    - bucket_arn: the bucket, versioned and with Object Lock. account_id: whose it is, if not this account's.
    - kms_key_arn: a key of the copy's region; needed when encryption.mode is customer_managed, and null otherwise.
    - storage_class: what a copy is kept in. time_control: S3 promises the copy within 15 minutes, for a price a GB.
  TEXT
  type = object({
    bucket_arn    = string
    account_id    = optional(string)
    kms_key_arn   = optional(string)
    storage_class = optional(string, "GLACIER_IR")
    time_control  = optional(bool, false)
  })
  default = null
}

variable "subscription" {
  description = <<-TEXT
    Other accounts that may read the events from the bucket and query them in their own Athena; the output subscription_ddl is the table.
    - account_ids: the accounts; their own IAM policies say who of them. Empty lets nobody. With encryption.kms_key_arn they decrypt nothing until that
      key's policy allows them kms:Decrypt: docs/subscription.md has the statement.
  TEXT
  type        = object({ account_ids = optional(list(string), []) })
  default     = {}
  nullable    = false
}

variable "tags" {
  description = "Tags that every resource gets besides application = name."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "usage_plan" {
  description = <<-TEXT
    API keys that count what each client sends; null, none. A key authenticates nobody: auth.mode holds besides.
    - clients: their names; each gets a key, which every request must carry as x-api-key. Output api_key_ids says which.
    - rate_limit, burst_limit: requests a second and at once of one client. quota: its requests in a DAY, WEEK or MONTH; null, no limit.
  TEXT
  type = object({
    clients     = list(string)
    rate_limit  = optional(number, 50)
    burst_limit = optional(number, 100)
    quota       = optional(object({ limit = number, period = string }))
  })
  default = null
}

variable "waf" {
  description = <<-TEXT
    A web ACL before the API, {} with these limits; null, none. About 9 US dollars a month, and 0.60 a million requests.
    - requests_per_5_min: what one address may send in five minutes.
    - max_body_bytes: the largest body, by its Content-Length.
    - inspected_body_kib: how much of a body AWS's managed rules see. They only count there, because audit events quote attacks; at headers, paths and addresses they block. AWS adds rules: one that is new, and looks at bodies, blocks until a release lists it (docs/surprises.md says how to see that).
  TEXT
  type = object({
    requests_per_5_min = optional(number, 60000)
    max_body_bytes     = optional(number, 6291456) # what a Lambda takes
    inspected_body_kib = optional(number, 16)
  })
  default = null
}
