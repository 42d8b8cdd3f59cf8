"""The front: what SageMaker's real-time runtime does between a client and a container.

``limits.py`` has the numbers, ``forwarder.py`` what happens to one request, whichever server took
it, and ``server.py`` a server of its own that takes them on 127.0.0.1.
"""
