"""The forms of destinations, whose address and secret are written in and never shown again, and of rules."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from trafficmon.notifications.models import Destination, Rule

LEVELS = [("low", _("low")), ("medium", _("medium")), ("high", _("high"))]


class DestinationForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Left empty, address and secret stay what they are."""

    address = forms.CharField(
        label=_("Address"),
        max_length=2000,
        required=False,
        widget=forms.TextInput(attrs={"size": 80, "autocomplete": "off"}),
        help_text=_(
            "Webhook: https://host/path. E-mail: one address or more, separated by commas. Service: Apprise's address, "
            "such as slack://..., tgram://..., dingtalk://... Kept encrypted and not shown; leave it empty to keep it."
        ),
    )
    secret = forms.CharField(
        label=_("Secret"),
        max_length=500,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Of a webhook: what it is signed with. Leave it empty to keep it."),
    )

    class Meta:
        model = Destination
        fields = ("name", "kind", "address", "secret", "with_picture", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["address"] = ""

    def clean_address(self) -> str:
        """What was written in, or what is kept."""
        given: str = self.cleaned_data["address"].strip()
        if not given and not self.instance.pk:
            raise forms.ValidationError(_("Give an address."))
        return given or self._kept("address")

    def clean_secret(self) -> str:
        given: str = self.cleaned_data["secret"]
        return given or self._kept("secret")

    def _kept(self, name: str) -> str:
        kept = Destination.objects.filter(pk=self.instance.pk).values_list(name, flat=True).first()
        return kept or ""


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """Levels as boxes to tick. A rule that would tell nobody is refused."""

    levels = forms.MultipleChoiceField(
        label=_("Levels"), choices=LEVELS, required=False, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = Rule
        fields = (
            *("name", "enabled", "destinations", "levels", "camera_lost", "groups", "merge_seconds"),
            *("camera_cooldown_seconds", "overall_cooldown_seconds", "digest_minutes", "quiet_from", "quiet_until"),
            *("quiet_spares_high", "escalate_minutes", "escalate_to"),
        )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("enabled"):
            self._demand("destinations")
            if cleaned.get("escalate_minutes"):
                self._demand("escalate_to")
        return cleaned

    def _demand(self, name: str) -> None:
        """One enabled destination at least, where what was chosen is no mistake already."""
        chosen = self.cleaned_data.get(name)
        if chosen is not None and not any(each.enabled for each in chosen):
            self.add_error(name, _("Choose a destination that is enabled: this would be told to nobody."))
