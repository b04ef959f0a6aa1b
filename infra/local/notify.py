"""The deliverer of decisions, where the settings name a webhook."""

from __future__ import annotations

from infra.local.part import Part, python


class Notify(Part):
    """Tells the webhook of the settings what was decided."""

    name = "notify"
    needs = ("contracts",)
    stop_deadline_s = 15.0

    @property
    def is_wanted(self) -> bool:
        return bool(self.settings.webhook.url)

    def command(self) -> list[str]:
        return python("-m", "infra.cli.main", "notify")

    def is_healthy(self) -> bool:
        # It has no port; that it runs is checked before this is asked.
        return True
