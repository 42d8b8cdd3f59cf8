"""Channels: everything between where training data is and what a container sees of it (§1.4, §1.6).

``plan`` says what a channel is; ``source`` reads objects from a folder or from S3; ``selection``
chooses and orders them; ``delivery`` makes them files (File, FastFile) and ``pipes`` feeds them
through named pipes (Pipe). Nothing here knows of an engine: a caller mounts what comes out.
"""
