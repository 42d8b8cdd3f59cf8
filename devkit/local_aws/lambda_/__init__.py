"""Lambda, live: functions run here, and moto keeps what they are.

::

    service.py         the service: its operations; what others invoke functions by
    checks.py          what AWS refuses of a definition, and moto does not
    definitions.py     what a function is, read from what moto holds
    runner.py          from an invocation to an instance
    pools.py           the instances of a version of a function, kept warm
    instances.py       an instance: initialised once, then one invocation after another
    invocations.py     one invocation: what is asked, what it comes to
    runtime_api.py     the Lambda Runtime API, by which an instance takes work
    programs.py        the seam to what runs an instance
    processes.py       … a process under AWS's runtime client for Python
    containers.py      … a container of the function's image
    environment.py     the variables of a function
    unpacking.py       its code and layers on disk
    runtime_files.py   AWS's modules on disk; runtime/ is what a process runs first
    memory.py          how much a process has used
    limits.py          what is too large or too much
    logs.py            log groups and streams
    events.py          asynchronous invocations, their retries and destinations
    urls.py            function URLs: a function behind an address of its own
    url_configs.py     … the operations that make and tell them
    url_definitions.py … what they are, read from what moto holds
    from_moto.py       invocations by SNS, EventBridge, S3, queues and streams
"""
