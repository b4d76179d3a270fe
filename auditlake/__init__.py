"""auditlake: an audit log that you own."""
