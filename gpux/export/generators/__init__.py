"""Models that generate, exported to graphs whose caches are buffers: runs only in the exporter's environment."""
