"""Local AWS: one endpoint on this machine that speaks the AWS APIs; ``devkit up``.

::

    server.py       starts and stops it: a thread with an event loop, sockets, live services, moto
    listener.py     a request → who answers it → its bytes
    guard.py        whom it answers at all
    routing.py      what a request says of itself: service, operation, region, key
    models.py       AWS's own descriptions of its APIs, as botocore carries them
    services.py     the seam: what answers for real, operation by operation
    wire.py         parameters from requests and answers from results, per protocol
    validation.py   what of a request the API's description forbids
    errors.py       errors as each protocol has them on the wire
    identity.py     who the caller is, and what a role may do
    moto_app.py     everything else: moto
    journal.py      what moto was told, so that it can be told again after a restart
    ecr.py          ECR knows the images that are built and used
    sagemaker/      SageMaker's control plane
    state.py        where the endpoint of a project is, and who runs it
    environment.py  the environment of a command that is run against it; ``devkit exec``
"""
