"""moto in this process: emptied even while another thread imports what is in it."""

from __future__ import annotations

from typing import Any

from moto.core import model_instances

from devkit.local_aws.moto_dispatch import Application


def test_it_is_emptied_though_a_service_is_imported_meanwhile() -> None:
    application = Application()
    interrupted: list[bool] = []

    class Importing(dict[str, Any]):
        """moto's models, of which another thread adds some as they are gone through."""

        def values(self) -> Any:
            if not interrupted:
                interrupted.append(True)
                raise RuntimeError("dictionary changed size during iteration")
            return super().values()

    before = model_instances.model_data
    model_instances.model_data = Importing(before)
    try:
        application.reset()
    finally:
        model_instances.model_data = before
        application.leave()
    assert interrupted
