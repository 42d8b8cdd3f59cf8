"""The engines: what runs an image. See ``base.py`` for the seam."""
