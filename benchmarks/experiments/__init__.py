"""The experiment record: what keeping and finding runs costs."""
