"""How a camera is edited: its source is shown without the password, and an untouched one keeps it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.utils.translation import gettext_lazy as _

from cameras.addresses import unmask
from cameras.models import Camera


class CameraForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A camera with its source masked."""

    source = forms.CharField(
        label=_("Source"),
        max_length=2000,
        widget=AdminTextInputWidget(attrs={"size": 80, "autocomplete": "off", "spellcheck": "false"}),
        help_text=Camera._meta.get_field("source").help_text,
    )

    class Meta:
        model = Camera
        fields = (
            "name",
            "group",
            "source",
            "sampling",
            "frame_interval",
            "detection_enabled",
            "assessment_enabled",
            "wanted",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept_source: str = self.instance.source if self.instance.pk else ""
        if self._kept_source:
            self.initial["source"] = self.instance.masked_source

    def clean_source(self) -> str:
        """The source as typed; the kept one where its masked form was left as it was."""
        return unmask(self.cleaned_data["source"], kept=self._kept_source)

    def _get_validation_exclusions(self) -> set[str]:
        """An untouched source is not checked again: a name server that is away must not hinder a change of name."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # not in the stubs
        untouched = self.cleaned_data.get("source") == self._kept_source
        return excluded | {"source"} if untouched else excluded
