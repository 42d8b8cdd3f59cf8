"""The SageMaker SDK's own local mode as :class:`~devkit.targets.clients.Clients`.

The SDK runs in a process of its own, under whatever interpreter has it (docs/adr/0018).
"""
