"""Delivery: parts that backends share: queues, claims, backpressure, codecs, clock, tasks."""
