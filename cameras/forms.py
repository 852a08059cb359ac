"""How a camera is edited: its source is shown without the password, and an untouched one keeps it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.utils.translation import gettext_lazy as _

from cameras.addresses import mask_credentials, unmask
from cameras.models import Camera

_SOURCES = ("source", "detection_source")
_STREET = "street:"


class _CalibrationField(forms.JSONField):
    """Empty where there is none."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


class CameraForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A camera with its source masked."""

    source = forms.CharField(
        label=_("Source"),
        max_length=2000,
        widget=AdminTextInputWidget(attrs={"size": 80, "autocomplete": "off", "spellcheck": "false"}),
        help_text=Camera._meta.get_field("source").help_text,
    )

    detection_source = forms.CharField(
        label=_("Source for detection"),
        max_length=2000,
        required=False,
        widget=AdminTextInputWidget(attrs={"size": 80, "autocomplete": "off", "spellcheck": "false"}),
        help_text=Camera._meta.get_field("detection_source").help_text,
    )

    class Meta:
        model = Camera
        field_classes = {"calibration": _CalibrationField}
        fields = (
            "name",
            "group",
            "source",
            "detection_source",
            "sampling",
            "frame_interval",
            "detection_enabled",
            "assessment_enabled",
            "calibration",
            "wanted",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept = {name: getattr(self.instance, name) if self.instance.pk else "" for name in _SOURCES}
        if self.instance.pk:
            self.initial.update({name: mask_credentials(kept) for name, kept in self._kept.items()})

    def clean_source(self) -> str:
        """The source as typed; the kept one where its masked form was left as it was."""
        return unmask(self.cleaned_data["source"], kept=self._kept["source"])

    def clean_detection_source(self) -> str:
        """As `clean_source`."""
        return unmask(self.cleaned_data["detection_source"], kept=self._kept["detection_source"])

    def clean(self) -> dict[str, Any]:
        """Refuse a second stream where there can be none."""
        super().clean()
        cleaned = self.cleaned_data
        if cleaned.get("detection_source") and cleaned.get("source", "").lower().startswith(_STREET):
            self.add_error("detection_source", _("A simulated street has one stream only."))
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        """An untouched source is not checked again: a name server that is away must not hinder a change of name."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # not in the stubs
        return excluded | {name for name in _SOURCES if self.cleaned_data.get(name) == self._kept[name]}
