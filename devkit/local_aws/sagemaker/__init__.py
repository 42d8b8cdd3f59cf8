"""SageMaker's control plane, live: what it keeps, and what runs because of it.

::

    service.py           the service: its parts' operations, their start and their end
    parts.py             the seam: a part answers for some kinds of resource; what all parts share
    records.py           what was made, kept in a file each
    arns.py              what things are called
    refusals.py          what is refused, in SageMaker's words
    listing.py           List… operations: filters, order, pages
    tag_values.py        tags as requests and answers have them
    storage.py           S3, as jobs and models are read and written
    workshop.py          engine, store and image, as jobs and endpoints use them
    tags.py              AddTags, ListTags, DeleteTags
    training_jobs.py     training jobs: what is asked, and answered
    training_request.py  CreateTrainingJob's parameters as a job
    training_work.py     a job at work, in a thread of its own
    training_states.py   what becomes of its record meanwhile
    training_output.py   its artifacts on their way to S3, its metrics
    training_recovery.py jobs of an endpoint that was killed
    models.py            models
    endpoint_configs.py  endpoint configurations
    studio/              Studio: domains, user profiles, spaces, apps

    hosting.py             endpoints and the runtime, put together
    endpoints.py           an endpoint's life: created, updated, deleted, brought back
    endpoint_plans.py      what it is to run
    endpoint_runs.py       its containers
    hosted.py              what the runtime knows of it; shares.py: who answers next
    runtime.py             InvokeEndpoint, with and without a stream
    async_invocations.py   InvokeEndpointAsync
    invocation_metrics.py  how often and how fast it answered, to CloudWatch
"""
