"""Answers written token by token: settings, the decoding loop over an open model, its cache; knows no task."""
