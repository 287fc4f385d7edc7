"""Brokers: parts that the broker adapters share: headers, names, ordering keys, driver errors."""
