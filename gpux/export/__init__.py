"""Snapshot → graphs: which task and head, by which route, in a worker process, with probes and their references."""
