"""moto's own tests, of ``devkit up``: what code written against moto relies on answers here too."""
