"""The canary: posts one event through the front door each interval, and finds earlier ones by Athena."""
