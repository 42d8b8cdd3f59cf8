"""Studio: domains, user profiles, spaces and apps, as records. Nothing runs because of them.

::

    residents.py      what they have in common: they come and go, and belong to a domain
    domains.py        domains
    user_profiles.py  the people in a domain
    spaces.py         what they share, or keep to themselves
    apps.py           what runs for a person or in a space
"""
