"""Reference → artifact: the store on disk, and the pull that fills it."""
