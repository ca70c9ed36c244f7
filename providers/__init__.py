"""The built-in providers, one file each; nobody imports this package, it comes in through entry points."""
