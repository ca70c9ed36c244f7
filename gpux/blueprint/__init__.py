"""A model of one's own: the folder's ``gpux.yml`` → a record, and the files that tasks read. Knows no store, no task, no runtime."""
