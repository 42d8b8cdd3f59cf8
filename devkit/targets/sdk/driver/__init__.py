"""What runs under an interpreter that has the SageMaker SDK, and serves its ``LocalSession``.

Nothing of devkit is imported here, and nothing but the standard library, the SDK and what the SDK
needs: the interpreter may be another one than devkit's. ``launch`` starts a program of this folder:
``serve``, which devkit talks to, and ``compose``, which the SDK runs where it would run Docker
Compose.
"""
