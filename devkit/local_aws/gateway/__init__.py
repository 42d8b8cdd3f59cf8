"""API Gateway: calls to the APIs that moto keeps the definitions of.

``service`` is the way in. Read ``addresses`` (which API), ``definitions`` (what it is), then
``http_apis`` and ``rest_apis`` (what is done), and from there the pure modules: routing, events,
results, mapping.
"""
