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
    models.py            models
    endpoint_configs.py  endpoint configurations
"""
