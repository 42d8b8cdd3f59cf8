"""What ``devkit up`` brings up from a project's files: its functions, their API, and the endpoint.

::

    bringing_up.py   all of it, in order, and the edits that follow
    functions.py     [lambda.NAME]: from a folder to a function
    api.py           [gateway]: an HTTP API in front of them
    model.py         [endpoint]: the newest model, or one that is trained now, deployed
"""
