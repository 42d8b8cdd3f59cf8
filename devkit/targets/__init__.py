"""The targets: where a request goes. See ``base.py`` for the seam."""
