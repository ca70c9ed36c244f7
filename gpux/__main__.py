"""``python -m gpux`` is the ``gpux`` command."""

from gpux.cli import main

if __name__ == "__main__":
    main()
